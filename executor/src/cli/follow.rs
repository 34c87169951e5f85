//! `follow`, and `--follow` behind what creates a program: to its end, change by change.
//!
//! A terminal gets progress bars, everything else a line for each change. Programs that nobody works
//! on are not watched in silence: `follow` says so, and `--follow` works itself.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    list::title,
    progress,
    table::cut,
    terminal::{bars, note, print},
};
use crate::{
    error::{Error, ErrorKind, Result},
    handle::Executor,
    run,
    run_id::RunId,
    store::{ProgramInfo, ProgramState, WorkerInfo},
};

/// How often it is looked whether somebody works.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Show the progress of programs until all have ended; exit code 1 when one errored
#[derive(clap::Args)]
pub(super) struct Follow {
    #[arg(required = true, value_name = "RUN_ID")]
    run_ids: Vec<RunId>,
    /// Print a line of JSON for each change
    #[arg(long)]
    json: bool,
}

impl Follow {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let view = if self.json {
            View::Json
        } else if io::stdout().is_terminal() && io::stderr().is_terminal() {
            View::bars()
        } else {
            View::Lines {
                to_stdout: true,
                said: HashMap::new(),
            }
        };
        let mut run_ids = Vec::new();
        let mut queues = BTreeSet::new();
        for run_id in self.run_ids {
            let program = executor
                .get(&run_id)
                .await?
                .ok_or_else(|| unknown(&run_id))?;
            if !program.state.is_terminal() {
                queues.insert(program.queue);
            }
            if !run_ids.contains(&run_id) {
                run_ids.push(run_id);
            }
        }
        tokio::select! {
            ended = until_ended(&executor, &run_ids, view) => ended,
            failed = warn_of_unattended(&executor, queues) => failed,
        }
    }
}

/// Follows a program that was just created. Where no live worker works its queue, this process does
/// until the program has ended.
pub(super) async fn created(executor: &Executor, run_id: RunId, json: bool) -> Result<()> {
    let program = executor
        .get(&run_id)
        .await?
        .ok_or_else(|| unknown(&run_id))?;
    let queue = &program.queue;
    let attended = is_attended(&executor.workers().await?, queue);
    let view = if json {
        View::Json
    } else if attended && io::stderr().is_terminal() {
        View::bars()
    } else {
        // Jobs that run here may print: bars would not stay whole.
        View::Lines {
            to_stdout: false,
            said: HashMap::new(),
        }
    };
    let run_ids = [run_id];
    let following = until_ended(executor, &run_ids, view);
    let mut following = std::pin::pin!(following);
    if attended {
        tokio::select! {
            ended = &mut following => return ended,
            gone = unattended(executor, queue) => gone?,
        }
    }
    note(&format!(
        "no live worker works the queue {queue:?}: working on it here until the program ends"
    ));
    let here = executor.with_queues(vec![queue.clone()]);
    let asked = |_| note("ending with the running job; a second signal ends at once");
    match run::work_until(&here, following, asked).await? {
        Some(ended) => ended,
        None => Err(Error::new(
            ErrorKind::Other,
            format!(
                "interrupted; the next worker goes on with program {}",
                run_ids[0]
            ),
        )),
    }
}

/// Shows programs until all have ended; an error when one of them did so by one.
async fn until_ended(executor: &Executor, run_ids: &[RunId], mut view: View) -> Result<()> {
    let (changes, mut changed) = mpsc::channel(16);
    let mut watching: JoinSet<Result<()>> = JoinSet::new();
    for run_id in run_ids {
        let (mut watch, changes) = (executor.watch(run_id), changes.clone());
        watching.spawn(async move {
            while let Some(program) = watch.next().await? {
                if changes.send(program).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
    }
    drop(changes);
    let mut errored = Vec::new();
    while let Some(program) = changed.recv().await {
        if !view.show(&program)? {
            return Ok(());
        }
        if program.state == ProgramState::Errored {
            errored.push(program);
        }
    }
    while let Some(watched) = watching.join_next().await {
        watched??;
    }
    match errored.as_slice() {
        [] => Ok(()),
        [one] => Err(Error::new(
            ErrorKind::ProgramErrored,
            format!("program {} {}", one.run_id, progress::line(one)),
        )),
        many => Err(Error::new(
            ErrorKind::ProgramErrored,
            format!("{} of {} programs errored", many.len(), run_ids.len()),
        )),
    }
}

/// How changes are shown.
enum View {
    Bars(HashMap<RunId, ProgressBar>),
    /// With the last line of each program, as not every change shows in one.
    Lines {
        to_stdout: bool,
        said: HashMap<RunId, String>,
    },
    Json,
}

impl View {
    fn bars() -> Self {
        Self::Bars(HashMap::new())
    }

    /// Shows a change; `false`: nobody looks any more.
    fn show(&mut self, program: &ProgramInfo) -> Result<bool> {
        match self {
            Self::Bars(all) => {
                let bar = all
                    .entry(program.run_id.clone())
                    .or_insert_with(|| new_bar(program));
                draw(bar, program);
            }
            Self::Lines { to_stdout, said } => {
                let line = format!("{} {}", program.run_id, progress::line(program));
                if said.get(&program.run_id) == Some(&line) {
                    return Ok(true);
                }
                if *to_stdout {
                    return print(&format!("{line}\n")).inspect(|_| {
                        said.insert(program.run_id.clone(), line);
                    });
                }
                note(&line);
                said.insert(program.run_id.clone(), line);
            }
            Self::Json => return print(&format!("{}\n", serde_json::to_string(program)?)),
        }
        Ok(true)
    }
}

fn new_bar(program: &ProgramInfo) -> ProgressBar {
    let bar = bars().add(ProgressBar::new(program.jobs.len() as u64));
    // A template that can't be read would be a mistake of ours: then it looks plainer.
    let style = ProgressStyle::with_template("{prefix} [{bar:20}] {pos}/{len} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    // The end of a run id tells programs of one name apart; its beginning is a time.
    let id: Vec<char> = program.run_id.as_str().chars().rev().take(6).collect();
    let id: String = id.into_iter().rev().collect();
    bar.set_prefix(format!("{id} {:16}", cut(&title(program), 16)));
    bar
}

fn draw(bar: &ProgressBar, program: &ProgramInfo) {
    bar.set_position(program.step as u64);
    match program.state {
        ProgramState::Finished => {
            bar.finish_with_message(format!("finished{}", progress::took(program)));
        }
        ProgramState::Errored => {
            let job = program.job().unwrap_or_default();
            bar.abandon_with_message(format!("{job} errored: {}", progress::error(program)));
        }
        state => {
            let (job, saved) = (program.job().unwrap_or_default(), progress::saved(program));
            bar.set_message(match state {
                ProgramState::Running => format!("{job}{saved}{}", progress::attempt(program)),
                _ => format!("{job}{saved} {state}{}", progress::attempt(program)),
            });
        }
    }
}

/// Ready when no live worker works the queue.
async fn unattended(executor: &Executor, queue: &str) -> Result<()> {
    while is_attended(&executor.workers().await?, queue) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Whether a live worker works the queue.
pub(super) fn is_attended(workers: &[WorkerInfo], queue: &str) -> bool {
    workers
        .iter()
        .flat_map(|worker| &worker.queues)
        .any(|works| works == queue)
}

/// Says once of each queue that nobody works it; ready only when the store can't be read.
async fn warn_of_unattended(executor: &Executor, mut queues: BTreeSet<String>) -> Result<()> {
    while !queues.is_empty() {
        let workers = executor.workers().await?;
        queues.retain(|queue| {
            let attended = is_attended(&workers, queue);
            if !attended {
                note(&format!(
                    "no live worker works the queue {queue:?}; `work --queue {queue}` starts one"
                ));
            }
            attended
        });
        tokio::time::sleep(LOOK_EVERY).await;
    }
    std::future::pending().await
}

/// That there is no program of this run id.
pub(super) fn unknown(run_id: &RunId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no program {run_id}"))
}
