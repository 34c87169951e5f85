//! The stage of the tests of queues: a store, and jobs that leave a mark or wait at a gate.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use executor::{Builder, Executor, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, ended};
use tokio::sync::Semaphore;

/// What the jobs of one test share.
#[derive(Default)]
pub(crate) struct Board {
    /// The names of the programs' jobs, as they ran.
    order: Mutex<Vec<String>>,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    pub(crate) gate: Gate,
}

pub(crate) struct Gate(pub(crate) Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Board {
    pub(crate) fn order(&self) -> Vec<String> {
        self.order.lock().expect("whole").clone()
    }

    pub(crate) fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    pub(crate) fn most_inside(&self) -> usize {
        self.most_inside.load(Ordering::SeqCst)
    }

    /// Stays inside until the gate lets it through.
    pub(crate) async fn pass(&self) -> Result<(), JobError> {
        let _inside = Inside::enter(self);
        self.gate.0.acquire().await?.forget();
        Ok(())
    }
}

/// A body at the gate; also one that is cancelled there leaves.
struct Inside<'b>(&'b Board);

impl<'b> Inside<'b> {
    fn enter(board: &'b Board) -> Self {
        let inside = board.inside.fetch_add(1, Ordering::SeqCst) + 1;
        board.most_inside.fetch_max(inside, Ordering::SeqCst);
        Self(board)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[job]
pub(crate) async fn mark(board: State<Arc<Board>>, mark: String) -> Result<(), JobError> {
    board.order.lock().expect("whole").push(mark);
    Ok(())
}

#[job]
pub(crate) async fn wait_for_gate(board: State<Arc<Board>>) -> Result<(), JobError> {
    board.pass().await
}

pub(crate) struct Stage {
    pub(crate) fresh: Fresh,
    pub(crate) board: Arc<Board>,
    pub(crate) executor: Executor,
}

impl Stage {
    pub(crate) async fn set(change: impl FnOnce(Builder) -> Builder) -> Self {
        let fresh = Fresh::new();
        let board = Arc::<Board>::default();
        let builder = change(fresh.builder().state(Arc::clone(&board)));
        let executor = builder.connect().await.expect("connected");
        Self {
            fresh,
            board,
            executor,
        }
    }

    pub(crate) async fn create(&self, program: impl IntoProgram) -> RunId {
        self.executor.create(program).await.expect("created").run_id
    }

    pub(crate) async fn get(&self, run_id: &RunId) -> ProgramInfo {
        self.executor
            .get(run_id)
            .await
            .expect("read")
            .expect("there")
    }

    pub(crate) async fn all_finish(&self, run_ids: &[RunId]) {
        for run_id in run_ids {
            let program = ended(&self.executor, run_id).await;
            assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        }
    }
}

pub(crate) fn marked(mark: impl ToString) -> Mark {
    Mark {
        mark: mark.to_string(),
    }
}
