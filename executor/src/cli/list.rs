//! `list`: many programs, a line each.

use super::{
    filter::FilterArgs,
    progress,
    table::{Table, age, cut},
    terminal::{note, print, print_json},
};
use crate::{error::Result, handle::Executor, store::ProgramInfo};

/// List programs, newest first
#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    filter: FilterArgs,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Print a JSON array of all that is known of them
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let filter = self.filter.filter().limit(self.limit);
        let programs = executor.list(filter).await?;
        if self.json {
            print_json(&programs)?;
        } else if programs.is_empty() {
            note("no programs");
        } else {
            print(&table(&programs))?;
            if programs.len() == self.limit {
                note(&format!(
                    "the newest {}; there may be more (--limit)",
                    self.limit
                ));
            }
        }
        Ok(())
    }
}

fn table(programs: &[ProgramInfo]) -> String {
    let mut table = Table::new(["RUN ID", "PROGRAM", "QUEUE", "STATE", "STEP", "AGE"]);
    for program in programs {
        table.row([
            program.run_id.to_string(),
            title(program),
            cut(&program.queue, 20),
            program.state.to_string(),
            progress::step(program),
            program.created_at.map(age).unwrap_or_default(),
        ]);
    }
    table.text()
}

/// Its name, or else its jobs.
pub(super) fn title(program: &ProgramInfo) -> String {
    let title = program
        .name
        .clone()
        .unwrap_or_else(|| program.jobs.join(", "));
    cut(&title, 40)
}
