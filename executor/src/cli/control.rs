//! What people do to programs and queues.

use std::time::Duration;

use super::{
    data::{self, Json},
    follow::unknown,
    terminal::{note, print},
};
use crate::{
    error::{Error, Result},
    hand_off::HandOffToken,
    handle::{Executor, ReportTarget},
    run_id::RunId,
};

/// End unfinished programs as errored, and cancel their running jobs
#[derive(clap::Args)]
pub(super) struct Cancel {
    #[arg(required = true, value_name = "RUN_ID")]
    run_ids: Vec<RunId>,
}

impl Cancel {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let mut results = Vec::new();
        for run_id in &self.run_ids {
            results.push(executor.cancel(run_id).await);
        }
        tell(&self.run_ids, results, "cancelled")
    }
}

/// Make errored programs go on from the step that failed
#[derive(clap::Args)]
pub(super) struct Retry {
    #[arg(required = true, value_name = "RUN_ID")]
    run_ids: Vec<RunId>,
}

impl Retry {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let mut results = Vec::new();
        for run_id in &self.run_ids {
            results.push(executor.retry(run_id).await);
        }
        tell(&self.run_ids, results, "to be retried")
    }
}

/// Delete programs in any state, and cancel their running jobs
#[derive(clap::Args)]
pub(super) struct Delete {
    #[arg(required = true, value_name = "RUN_ID")]
    run_ids: Vec<RunId>,
}

impl Delete {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let mut results = Vec::new();
        for run_id in &self.run_ids {
            results.push(executor.delete(run_id).await);
        }
        tell(&self.run_ids, results, "deleted")
    }
}

/// Tells what became of each program; those that could be served are, whatever is with the others.
fn tell(run_ids: &[RunId], results: Vec<Result<bool>>, done: &str) -> Result<()> {
    let mut failed: Vec<Error> = Vec::new();
    for (run_id, result) in run_ids.iter().zip(results) {
        match result {
            Ok(true) => drop(print(&format!("{run_id} {done}\n"))?),
            Ok(false) => failed.push(unknown(run_id)),
            Err(error) => failed.push(error),
        }
    }
    let Some(last) = failed.pop() else {
        return Ok(());
    };
    for error in &failed {
        note(&format!("Error: {error}"));
    }
    Err(last)
}

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
}

impl Prune {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let pruned = executor.prune(self.older_than).await?;
        print(&format!("{pruned} deleted\n"))?;
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
}

impl Complete {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let output = self.output.map(Json::read).transpose()?;
        let done = executor
            .complete(report_target(&self.target), output)
            .await?;
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
}

impl Fail {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let failed = executor
            .fail(report_target(&self.target), self.message)
            .await?;
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
