//! What people do to queues, and to programs that have ended or wait for a report.

use std::time::Duration;

use super::{
    data::{self, Json},
    follow::unknown,
    terminal::print,
};
use crate::{
    error::Result,
    hand_off::HandOffToken,
    handle::{Executor, ReportTarget},
    run_id::RunId,
    store,
};

/// Stop all workers from taking programs of a queue
#[derive(clap::Args)]
pub(super) struct Pause {
    queue: String,
}

impl Pause {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let queue = &self.queue;
        let paused = executor.pause(queue).await?;
        print(&format!(
            "{queue} {}\n",
            if paused {
                "paused"
            } else {
                "was paused already"
            }
        ))?;
        Ok(())
    }
}

/// Let the workers take programs of a queue again
#[derive(clap::Args)]
pub(super) struct Resume {
    queue: String,
}

impl Resume {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let queue = &self.queue;
        let resumed = executor.resume(queue).await?;
        print(&format!(
            "{queue} {}\n",
            if resumed { "resumed" } else { "was not paused" }
        ))?;
        Ok(())
    }
}

/// Delete programs that ended longer ago than a time
#[derive(clap::Args)]
pub(super) struct Prune {
    /// Like 7d or 12h
    #[arg(long, value_name = "DURATION", value_parser = data::duration)]
    older_than: Duration,
    /// Only those that are finished, or errored
    #[arg(long, value_name = "STATE", value_parser = ["finished", "errored"])]
    state: Option<String>,
    /// Only those of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only tell how many they are
    #[arg(long)]
    dry_run: bool,
}

impl Prune {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let mut prune = store::Prune::older_than(self.older_than);
        if let Some(state) = self.state {
            prune = prune.state(state.parse()?);
        }
        if let Some(queue) = self.queue {
            prune = prune.queue(queue);
        }
        if self.dry_run {
            let number = executor.count_prunable(prune).await?;
            print(&format!("{number} would be deleted\n"))?;
        } else {
            let pruned = executor.prune(prune).await?;
            print(&format!("{pruned} deleted\n"))?;
        }
        Ok(())
    }
}

/// Report that a handed-off job is done
#[derive(clap::Args)]
pub(super) struct Complete {
    /// The hand-off token, or the run id of a program of one job
    target: String,
    /// What the job returns: JSON, @file, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = Json::parse, allow_negative_numbers = true)]
    output: Option<Json>,
    /// Delete the program where this ends it
    #[arg(long)]
    delete: bool,
}

impl Complete {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let output = self.output.map(Json::read).transpose()?;
        let target = report_target(&self.target);
        let done = match self.delete {
            true => executor.complete_and_delete(target, output).await?,
            false => executor.complete(target, output).await?,
        };
        reported(&self.target, done, "completed")
    }
}

/// Report that a handed-off job has failed: its program ends as errored
#[derive(clap::Args)]
pub(super) struct Fail {
    /// The hand-off token, or the run id of a program of one job
    target: String,
    /// Why it failed
    #[arg(long)]
    message: String,
    /// Delete the program
    #[arg(long)]
    delete: bool,
}

impl Fail {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let target = report_target(&self.target);
        let failed = match self.delete {
            true => executor.fail_and_delete(target).await?,
            false => executor.fail(target, self.message).await?,
        };
        reported(&self.target, failed, "failed")
    }
}

fn report_target(text: &str) -> ReportTarget {
    match text.parse::<HandOffToken>() {
        Ok(token) => token.into(),
        Err(_) => RunId::from(text).into(),
    }
}

fn reported(target: &str, done: bool, what: &str) -> Result<()> {
    if !done {
        let run_id = target
            .parse::<HandOffToken>()
            .map(|token| token.run_id().clone());
        return Err(unknown(&run_id.unwrap_or_else(|_| target.into())));
    }
    print(&format!("{target} {what}\n"))?;
    Ok(())
}
