//! `list`: many programs, a line each.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{
    progress,
    table::{Table, age, cut},
    terminal::{note, print, print_json},
};
use crate::{
    error::Result,
    handle::Executor,
    store::{Filter, ProgramInfo, ProgramState},
};

/// List programs, newest first
#[derive(clap::Args)]
pub(super) struct List {
    /// Only programs in this state; can be repeated
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = states())]
    states: Vec<ProgramState>,
    /// Only programs of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only programs of this name
    #[arg(long)]
    name: Option<String>,
    /// Only programs whose current job is this
    #[arg(long)]
    job: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Print a JSON array of all that is known of them
    #[arg(long)]
    json: bool,
}

fn states() -> impl TypedValueParser<Value = ProgramState> {
    PossibleValuesParser::new(ProgramState::ALL.map(ProgramState::as_str))
        .try_map(|state| state.parse::<ProgramState>().map_err(|e| e.to_string()))
}

impl List {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let mut filter = Filter::new().limit(self.limit);
        for state in self.states {
            filter = filter.state(state);
        }
        if let Some(queue) = self.queue {
            filter = filter.queue(queue);
        }
        if let Some(name) = self.name {
            filter = filter.name(name);
        }
        if let Some(job) = self.job {
            filter = filter.job(job);
        }
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
