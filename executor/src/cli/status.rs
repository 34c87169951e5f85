//! `stats` and `workers`: how it stands as a whole.

use super::{
    table::{Table, age},
    terminal::{note, print, print_json},
};
use crate::{
    error::Result,
    handle::Executor,
    store::{self, ProgramState, WorkerInfo},
};

/// Count programs by state and by queue
#[derive(clap::Args)]
pub(super) struct Stats {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Stats {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let stats = executor.stats().await?;
        if self.json {
            print_json(&stats)?
        } else {
            print(&counts(&stats))?
        };
        Ok(())
    }
}

fn counts(stats: &store::Stats) -> String {
    let mut all = Table::new(["STATE", "PROGRAMS"]);
    for (state, count) in &stats.states {
        all.row([state.to_string(), count.to_string()]);
    }
    let mut text = all.text();
    if stats.queues.is_empty() {
        return text;
    }
    const UNFINISHED: [ProgramState; 4] = [
        ProgramState::Scheduled,
        ProgramState::Available,
        ProgramState::Running,
        ProgramState::Waiting,
    ];
    let mut queues = Table::new(["QUEUE", "SCHEDULED", "AVAILABLE", "RUNNING", "WAITING", ""]);
    for (name, queue) in &stats.queues {
        let [scheduled, available, running, waiting] =
            UNFINISHED.map(|state| queue.states.get(&state).copied().unwrap_or(0).to_string());
        let paused = if queue.paused { "paused" } else { "" };
        queues.row([
            name.clone(),
            scheduled,
            available,
            running,
            waiting,
            paused.to_owned(),
        ]);
    }
    text.push('\n');
    text.push_str(&queues.text());
    text
}

/// List the live workers
#[derive(clap::Args)]
pub(super) struct Workers {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

impl Workers {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let workers = executor.workers().await?;
        if self.json {
            print_json(&workers)?;
        } else if workers.is_empty() {
            note("no live worker; `work` starts one");
        } else {
            print(&rows(&workers))?;
        }
        Ok(())
    }
}

fn rows(workers: &[WorkerInfo]) -> String {
    let mut table = Table::new([
        "WORKER", "HOST", "PID", "SLOTS", "QUEUES", "STARTED", "SEEN",
    ]);
    for worker in workers {
        table.row([
            worker.id.clone(),
            worker.host.clone(),
            worker.pid.to_string(),
            worker.slots.to_string(),
            worker.queues.join(","),
            format!("{} ago", age(worker.started_at)),
            format!("{} ago", age(worker.seen_at)),
        ]);
    }
    table.text()
}
