//! What `start` and `create` have in common.

use std::time::Duration;

use serde::Serialize;

use super::{
    data, follow,
    terminal::{note, print, print_json},
};
use crate::{
    error::Result,
    handle::Builder,
    program::{DynProgram, ProgramExt},
    run_id::RunId,
};

#[derive(clap::Args)]
#[command(next_help_heading = "Creation options")]
pub(super) struct Creation {
    /// The queue whose workers run it
    #[arg(long)]
    queue: Option<String>,
    /// Lower runs first
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Not before this time has passed, like 30s, 5m or 2h
    #[arg(long, value_name = "DURATION", value_parser = data::duration)]
    run_after: Option<Duration>,
    /// At most one unfinished program has this key: starting another gives the first one's run id
    #[arg(long, value_name = "KEY")]
    unique: Option<String>,
    /// With --unique: where that program waits and has not begun, this one takes its place
    #[arg(long, requires = "unique")]
    replace: bool,
    /// With --unique: at most one program of the key is created within this time, like 1h
    #[arg(long, value_name = "DURATION", value_parser = data::duration, requires = "unique",
        conflicts_with = "replace")]
    unique_for: Option<Duration>,
    /// Show its progress until it has ended; work here where no worker does
    #[arg(long)]
    follow: bool,
    /// Print JSON: an object with the run id; with --follow, a line for each change
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    run_id: &'a RunId,
    existed: bool,
    replaced: bool,
}

impl Creation {
    /// Creates the program, prints its run id, and follows it if that is wanted.
    pub(super) async fn perform(self, builder: Builder, program: DynProgram) -> Result<()> {
        let (wants_json, follows) = (self.json, self.follow);
        let lasts = self.unique_for.is_some();
        let program = self.apply(program);
        program.check()?;
        let executor = builder.connect().await?;
        let created = executor.create(program).await?;
        let run_id = created.run_id;
        match wants_json {
            true if follows => {
                let report = Report {
                    run_id: &run_id,
                    existed: created.existed,
                    replaced: created.replaced,
                };
                print(&format!("{}\n", serde_json::to_string(&report)?))?
            }
            true => print_json(&Report {
                run_id: &run_id,
                existed: created.existed,
                replaced: created.replaced,
            })?,
            false => print(&format!("{run_id}\n"))?,
        };
        if created.replaced {
            note("the program that has this unique key was waiting; it has the new data and time");
        } else if created.existed && lasts {
            note("a program of this key was created a short time ago; nothing was created");
        } else if created.existed {
            note("an unfinished program has this unique key; nothing was created");
        }
        if follows {
            follow::created(&executor, run_id, wants_json).await
        } else {
            // Workers of other processes are told before this one ends.
            executor.inner().broker.flush().await;
            Ok(())
        }
    }

    #[cfg(test)]
    pub(super) fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    fn apply(self, mut program: DynProgram) -> DynProgram {
        if let Some(queue) = self.queue {
            program = program.queue(queue);
        }
        if let Some(priority) = self.priority {
            program = program.priority(priority);
        }
        if let Some(delay) = self.run_after {
            program = program.run_after(delay);
        }
        match (self.unique, self.unique_for) {
            (Some(key), Some(period)) => program = program.unique_for(key, period),
            (Some(key), None) => program = program.unique(key),
            (None, _) => {}
        }
        if self.replace {
            program = program.replace();
        }
        program
    }
}
