//! The stage of the tests of poison: good programs around what is poisonous.

use executor::{Executor, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Working, ended};

#[job]
pub(crate) async fn good() -> Result<String, JobError> {
    Ok("good".to_owned())
}

#[job(retry(max = 1, backoff = "1ms"))]
pub(crate) async fn failing(retry: bool) -> Result<(), JobError> {
    Err(if retry {
        JobError::retry("it fails")
    } else {
        JobError::fatal("it fails")
    })
}

/// A worker, and good programs around what is poisonous.
pub(crate) struct Stage {
    pub(crate) fresh: Fresh,
    pub(crate) executor: Executor,
    pub(crate) working: Option<Working>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let fresh = Fresh::new();
        let executor = fresh.builder().connect().await.expect("connected");
        Self {
            fresh,
            executor,
            working: None,
        }
    }

    pub(crate) async fn create(&self, program: impl IntoProgram) -> RunId {
        self.executor.create(program).await.expect("created").run_id
    }

    /// Runs a program to its end, between two good ones.
    pub(crate) async fn run(&mut self, program: impl IntoProgram) -> ProgramInfo {
        let before = self.create(Good).await;
        let run_id = self.create(program).await;
        let after = self.create(Good).await;
        let program = self.ended(&run_id).await;
        self.all_good(&[before, after]).await;
        let later = self.create(Good).await;
        self.all_good(&[later]).await;
        program
    }

    pub(crate) async fn ended(&mut self, run_id: &RunId) -> ProgramInfo {
        self.working
            .get_or_insert_with(|| Working::start(&self.executor));
        ended(&self.executor, run_id).await
    }

    pub(crate) async fn all_good(&mut self, run_ids: &[RunId]) {
        for run_id in run_ids {
            let program = self.ended(run_id).await;
            assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        }
    }

    pub(crate) async fn stop(self) {
        if let Some(working) = self.working {
            working.stop().await;
        }
    }
}

pub(crate) fn assert_errored(program: &ProgramInfo, message: &str) {
    assert_eq!(program.state, ProgramState::Errored, "{program:?}");
    let text = program.error_message.as_deref().unwrap_or_default();
    assert!(text.contains(message), "{message:?} is not in {text:?}");
    assert_eq!(program.lease_until, None, "{program:?}");
}
