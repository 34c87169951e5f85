//! What people do to many programs: those that they name, or all that match.

use std::io::{self, IsTerminal};

use super::{
    filter::FilterArgs,
    follow::unknown,
    terminal::{note, print},
};
use crate::{
    error::{Error, ErrorKind, Result},
    handle::Executor,
    run_id::RunId,
    store::{BulkVerb, Filter, Tally},
};

/// End unfinished programs as errored, and cancel their running jobs
#[derive(clap::Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    which: Which,
}

/// Make errored programs go on from the step that failed
#[derive(clap::Args)]
pub(super) struct Retry {
    #[command(flatten)]
    which: Which,
}

/// Delete programs in any state, and cancel their running jobs
#[derive(clap::Args)]
pub(super) struct Delete {
    #[command(flatten)]
    which: Which,
}

impl Cancel {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        self.which.perform(&executor, BulkVerb::Cancel).await
    }
}

impl Retry {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        self.which.perform(&executor, BulkVerb::Retry).await
    }
}

impl Delete {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        self.which.perform(&executor, BulkVerb::Delete).await
    }
}

#[derive(clap::Args)]
struct Which {
    #[arg(required_unless_present = "all", value_name = "RUN_ID")]
    run_ids: Vec<RunId>,
    /// All programs that match the filter
    #[arg(long, conflicts_with = "run_ids")]
    all: bool,
    /// Only tell how many they are
    #[arg(long, requires = "all")]
    dry_run: bool,
    /// Don't ask
    #[arg(long, requires = "all")]
    yes: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

impl Which {
    async fn perform(self, executor: &Executor, verb: BulkVerb) -> Result<()> {
        if self.all {
            let filter = self.filter.clone().filter();
            return self.perform_all(executor, verb, filter).await;
        }
        if self.filter.is_given() {
            let message = "a filter goes with --all, and not with run ids";
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let mut results = Vec::new();
        for run_id in &self.run_ids {
            results.push(match verb {
                BulkVerb::Cancel => executor.cancel(run_id).await,
                BulkVerb::Retry => executor.retry(run_id).await,
                BulkVerb::Delete => executor.delete(run_id).await,
            });
        }
        let told = match verb {
            BulkVerb::Retry => "to be retried",
            _ => done(verb),
        };
        tell(&self.run_ids, results, told)
    }

    async fn perform_all(self, executor: &Executor, verb: BulkVerb, filter: Filter) -> Result<()> {
        if self.dry_run {
            let number = executor.count_for(verb, filter).await?;
            print(&format!("{number} would be {}\n", done(verb)))?;
            return Ok(());
        }
        if !self.yes {
            let number = executor.count_for(verb, filter.clone()).await?;
            if !confirmed(&format!("{} to be {}", programs(number), done(verb)))? {
                note("nothing was done");
                return Ok(());
            }
        }
        let Tally {
            done: number,
            refused,
        } = match verb {
            BulkVerb::Cancel => executor.cancel_all(filter).await?,
            BulkVerb::Retry => executor.retry_all(filter).await?,
            BulkVerb::Delete => executor.delete_all(filter).await?,
        };
        print(&format!("{number} {}\n", done(verb)))?;
        if refused > 0 {
            note(&format!(
                "{refused} refused: other programs have their unique keys now"
            ));
        }
        Ok(())
    }
}

fn done(verb: BulkVerb) -> &'static str {
    match verb {
        BulkVerb::Cancel => "cancelled",
        BulkVerb::Retry => "retried",
        BulkVerb::Delete => "deleted",
    }
}

fn programs(number: usize) -> String {
    match number {
        1 => "1 program".to_owned(),
        _ => format!("{number} programs"),
    }
}

/// Asks the person at the terminal.
fn confirmed(question: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "{question}, and there is nobody to ask; add --yes, or --dry-run to look first"
            ),
        ));
    }
    note(&format!("{question}. Go on? [y/N]"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
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
