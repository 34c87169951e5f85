//! `doctor`: whether all that programs need is there, and what is easily forgotten.

use serde::Serialize;

use super::{
    table::Table,
    terminal::{print, print_json},
};
use crate::{
    error::{Error, ErrorKind, Result},
    handle::Executor,
};

/// Check that the store and the broker are there, and say what is easily forgotten
///
/// It ends with an error where something is wrong, and changes nothing.
#[derive(clap::Args)]
pub(super) struct Doctor {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Not wrong, and worth knowing.
    Note,
    Wrong,
}

#[derive(Serialize)]
struct Finding {
    verdict: Verdict,
    about: &'static str,
    text: String,
}

impl Doctor {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let mut findings = vec![store(&executor), workers(&executor).await];
        findings.extend(paused(&executor).await?);
        #[cfg(feature = "rabbitmq")]
        {
            findings.extend(rabbitmq::queues(&executor).await);
            findings.extend(rabbitmq::interop(&executor).await?);
        }
        if self.json {
            print_json(&findings)?;
        } else {
            let mut table = Table::new(["", "ABOUT", ""]);
            for finding in &findings {
                let verdict = match finding.verdict {
                    Verdict::Ok => "ok",
                    Verdict::Note => "note",
                    Verdict::Wrong => "wrong",
                };
                table.row([
                    verdict.to_owned(),
                    finding.about.to_owned(),
                    finding.text.clone(),
                ]);
            }
            print(&table.text())?;
        }
        match findings
            .iter()
            .filter(|it| matches!(it.verdict, Verdict::Wrong))
            .count()
        {
            0 => Ok(()),
            number => Err(Error::new(
                ErrorKind::Store,
                format!("{number} of these are wrong"),
            )),
        }
    }
}

/// That there is a handle means that it was reached, and that its tables are of this version.
fn store(executor: &Executor) -> Finding {
    let config = &executor.inner().config;
    Finding {
        verdict: Verdict::Ok,
        about: "store",
        text: format!("{}, table {:?}", config.database_url, config.table.as_str()),
    }
}

async fn workers(executor: &Executor) -> Finding {
    let (verdict, text) = match executor.workers().await {
        Ok(workers) if workers.is_empty() => {
            (Verdict::Note, "none is live; `work` starts one".to_owned())
        }
        Ok(workers) => {
            let slots: u64 = workers.iter().map(|worker| u64::from(worker.slots)).sum();
            (
                Verdict::Ok,
                format!("{} live, {slots} slots", workers.len()),
            )
        }
        Err(error) => (Verdict::Wrong, error.to_string()),
    };
    Finding {
        verdict,
        about: "workers",
        text,
    }
}

async fn paused(executor: &Executor) -> Result<Vec<Finding>> {
    let stats = executor.stats().await?;
    let paused = stats.queues.iter().filter(|(_, queue)| queue.paused);
    let finding = |(name, _)| Finding {
        verdict: Verdict::Note,
        about: "queue",
        text: format!("{name} is paused; `resume {name}` lets it go on"),
    };
    Ok(paused.map(finding).collect())
}

#[cfg(feature = "rabbitmq")]
mod rabbitmq {
    use std::time::Duration;

    use super::{Executor, Finding, Result, Verdict};
    use crate::{broker::QueueHolds, handle::Adopt, job::Registry};

    /// How long nothing has happened to a program that may be lost.
    const LONG: Duration = Duration::from_secs(3600);

    pub(super) async fn queues(executor: &Executor) -> Vec<Finding> {
        let config = &executor.inner().config;
        let Some(url) = &config.amqp_url else {
            return Vec::new();
        };
        let finding = |verdict, text| Finding {
            verdict,
            about: "RabbitMQ",
            text,
        };
        let queues: Vec<String> = config.worker.names().collect();
        match executor.inner().broker.look(&queues).await {
            Err(error) => vec![finding(Verdict::Wrong, error.to_string())],
            Ok(queues) => {
                let queues = queues.iter().map(|queue| {
                    let name = &queue.name;
                    let text = match queue.holds {
                        Some(QueueHolds {
                            messages,
                            consumers,
                        }) => format!("{name}: {messages} messages, {consumers} consumers"),
                        None => format!("{name}: not there yet; workers make it"),
                    };
                    finding(Verdict::Ok, text)
                });
                let there = finding(Verdict::Ok, url.to_string());
                std::iter::once(there).chain(queues).collect()
            }
        }
    }

    /// What only those need to know who share programs with program-executor.
    pub(super) async fn interop(executor: &Executor) -> Result<Vec<Finding>> {
        if executor.inner().config.interop.is_none() {
            return Ok(Vec::new());
        }
        let note = |text| Finding {
            verdict: Verdict::Note,
            about: "interop",
            text,
        };
        let mut findings = Vec::new();
        let jobs: Vec<&str> = Registry::global()?.iter().map(|job| job.name).collect();
        if !jobs.is_empty() {
            findings.push(note(format!(
                "program-executor skips jobs that its library lacks, and goes on as if they were done: before \
                 these are deployed here, it needs a stub for each (docs/program-executor/): {}",
                jobs.join(", ")
            )));
        }
        let lost = executor.adopt(Adopt::older_than(LONG).dry_run()).await?;
        if lost > 0 {
            findings.push(note(format!(
                "nothing has happened to {lost} programs for an hour that RabbitMQ has or had; where their \
                 messages are lost, `adopt` makes them go on"
            )));
        }
        Ok(findings)
    }
}
