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
type Seen = (
    crate::ProgramState,
    usize,
    u32,
    Option<crate::Timestamp>,
    serde_json::Value,
);

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
            let program = self
                .executor
                .get(&self.run_id)
                .await?
                .ok_or_else(|| gone(&self.run_id))?;
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
