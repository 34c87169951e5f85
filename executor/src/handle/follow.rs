//! Waiting for programs, and watching them on their way.

use std::time::Duration;

use super::Executor;
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, EventStream},
    run_id::RunId,
    store::ProgramInfo,
};

/// How often a program is looked at when other processes run it.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(250);

impl Executor {
    /// Waits until a program has ended; how it ended is in its state.
    ///
    /// # Errors
    /// There is no such program (any more), or the store cannot be read.
    pub async fn wait(&self, run_id: &RunId) -> Result<ProgramInfo> {
        let mut watch = self.watch(run_id);
        loop {
            match watch.next().await? {
                Some(program) if program.state.is_terminal() => return Ok(program),
                Some(_) => {}
                // A watch ends only behind a terminal state.
                None => return Err(gone(run_id)),
            }
        }
    }

    /// Works in this task until these programs have ended, as a script or a test wants it; other
    /// programs that are due run as well.
    ///
    /// ```no_run
    /// # use executor::prelude::*;
    /// # #[job] async fn greet(name: String) -> Result<(), JobError> { Ok(()) }
    /// # async fn test(executor: Executor) -> executor::Result<()> {
    /// let run_id = Greet { name: "Ada".to_owned() }.create(&executor).await?;
    /// let ended = executor.work_until_ended([&run_id]).await?;
    /// println!("{}", ended[0].state);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`work_until`](Executor::work_until), and when one of the programs is not there.
    pub async fn work_until_ended(
        &self,
        run_ids: impl IntoIterator<Item = &RunId>,
    ) -> Result<Vec<ProgramInfo>> {
        let run_ids: Vec<RunId> = run_ids.into_iter().cloned().collect();
        let mut ended = Ok(Vec::with_capacity(run_ids.len()));
        let all_ended = async {
            for run_id in &run_ids {
                match (self.wait(run_id).await, &mut ended) {
                    (Ok(program), Ok(programs)) => programs.push(program),
                    (Err(error), ended) => *ended = Err(error),
                    (Ok(_), Err(_)) => {}
                }
            }
        };
        self.work_until(all_ended).await?;
        ended
    }

    /// The program as it is now, and then each time that it is seen to have changed, until it has
    /// ended. Changes that follow one another closely may be seen as one.
    pub fn watch(&self, run_id: &RunId) -> Watch {
        Watch {
            executor: self.clone(),
            run_id: run_id.clone(),
            events: self.events(),
            last: None,
            ended: false,
        }
    }
}

/// A program on its way.
pub struct Watch {
    executor: Executor,
    run_id: RunId,
    events: EventStream,
    last: Option<Seen>,
    ended: bool,
}

/// What counts as a change.
type Seen = (crate::ProgramState, usize, u32, Option<crate::Timestamp>, serde_json::Value);

impl Watch {
    /// The program after its next change; `None` when it has ended and was seen so.
    ///
    /// # Errors
    /// There is no such program (any more), or the store cannot be read.
    pub async fn next(&mut self) -> Result<Option<ProgramInfo>> {
        if self.ended {
            return Ok(None);
        }
        let mut pause = SHORTEST;
        loop {
            let program = self.executor.get(&self.run_id).await?.ok_or_else(|| gone(&self.run_id))?;
            let seen = (
                program.state,
                program.step,
                program.step_retry_count,
                program.updated_at,
                program.job_data.clone(),
            );
            if self.last.as_ref() != Some(&seen) {
                self.last = Some(seen);
                self.ended = program.state.is_terminal();
                return Ok(Some(program));
            }
            tokio::select! {
                () = self.own_event() => {}
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST),
            }
        }
    }

    /// Waits until a worker of this process has done something to the program.
    async fn own_event(&mut self) {
        loop {
            let run_id = match self.events.next().await {
                Some(
                    Event::Started { run_id, .. }
                    | Event::StepDone { run_id, .. }
                    | Event::Retrying { run_id, .. }
                    | Event::Finished { run_id }
                    | Event::Errored { run_id, .. },
                ) => run_id,
                Some(Event::Missed(_)) => return,
                None => std::future::pending().await,
            };
            if run_id == self.run_id {
                return;
            }
        }
    }
}

fn gone(run_id: &RunId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no program {run_id}"))
}
