//! The stage of the tests of trouble: a store on a server that may be spoilt, and jobs that count
//! how often they ran.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use executor::{Executor, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, OwnPostgres, Settings, Store, until};
use tokio::sync::Semaphore;
use tokio_postgres::NoTls;

/// Whether this run is about PostgreSQL: tests with servers of their own run only once.
pub(crate) fn is_ours() -> bool {
    Store::of_this_run() == Store::Postgres
}

/// A server of the test's own, and a store in it.
pub(crate) struct Site {
    pub(crate) fresh: Fresh,
    pub(crate) server: OwnPostgres,
}

impl Site {
    /// `None`: this run is about another database, or the server's programs are missing.
    pub(crate) async fn start(settings: Settings) -> Option<Self> {
        if !is_ours() {
            return None;
        }
        let server = OwnPostgres::start(settings).await?;
        let fresh = Fresh::at_postgres(&server.url());
        Some(Self { fresh, server })
    }
}

/// How often each step's body ran, and a gate.
pub(crate) struct Tally {
    runs: Mutex<HashMap<(RunId, usize), usize>>,
    pub(crate) gate: Semaphore,
}

impl Tally {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            runs: Mutex::default(),
            gate: Semaphore::new(0),
        })
    }

    fn note(&self, ctx: &Context) {
        let step = (ctx.run_id().clone(), ctx.step());
        *self.runs.lock().expect("whole").entry(step).or_default() += 1;
    }

    /// How often a step's body ran.
    pub(crate) fn of(&self, run_id: &RunId, step: usize) -> usize {
        let runs = self.runs.lock().expect("whole");
        runs.get(&(run_id.clone(), step)).copied().unwrap_or(0)
    }

    /// How many steps ran.
    pub(crate) fn steps(&self) -> usize {
        self.runs.lock().expect("whole").len()
    }

    /// The steps whose bodies ran more than once.
    pub(crate) fn repeated(&self) -> Vec<(RunId, usize)> {
        let runs = self.runs.lock().expect("whole");
        let repeated = runs.iter().filter(|(_, times)| **times > 1);
        repeated.map(|(step, _)| step.clone()).collect()
    }
}

/// Counts itself.
#[job]
pub(crate) async fn count(ctx: Context, tally: State<Arc<Tally>>) -> Result<(), JobError> {
    tally.note(&ctx);
    tokio::time::sleep(Duration::from_millis(2)).await;
    Ok(())
}

/// Counts itself, and waits at the gate.
#[job]
pub(crate) async fn hold(ctx: Context, tally: State<Arc<Tally>>) -> Result<(), JobError> {
    tally.note(&ctx);
    tally.gate.acquire().await?.forget();
    Ok(())
}

/// The program as it is now.
pub(crate) async fn get(executor: &Executor, run_id: &RunId) -> ProgramInfo {
    executor.get(run_id).await.expect("read").expect("there")
}

/// Waits until they have finished, with so many steps each.
pub(crate) async fn all_finish(executor: &Executor, run_ids: &[RunId], steps: usize) {
    for run_id in run_ids {
        until(&format!("{run_id} has ended"), async || {
            get(executor, run_id).await.state.is_terminal()
        })
        .await;
        let program = get(executor, run_id).await;
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        assert_eq!(program.step, steps, "{program:?}");
        assert_eq!(program.step_retry_count, 0, "{program:?}");
    }
}

/// Creates programs of so many steps.
pub(crate) async fn create(executor: &Executor, programs: usize, steps: usize) -> Vec<RunId> {
    let programs = (0..programs).map(|_| {
        (0..steps).fold(executor::DynProgram::new(()), |program, _| {
            program.then(Count)
        })
    });
    let created = executor.create_many(programs).await.expect("created");
    let run_id = |created: executor::Result<executor::Created>| created.expect("created").run_id;
    created.into_iter().map(run_id).collect()
}

/// A client of somebody else's.
pub(crate) async fn client(url: &str) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.expect("a login");
    tokio::spawn(async { drop(connection.await) });
    client
}

/// The log of a worker process.
pub(crate) struct Log(PathBuf);

impl Log {
    pub(crate) fn of(fresh: &Fresh, name: &str) -> Self {
        Self(fresh.folder().join(name))
    }

    pub(crate) fn file(&self) -> &std::path::Path {
        &self.0
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap_or_default()
    }

    /// The lines with this in them.
    pub(crate) fn lines(&self, with: &str) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(with));
        lines.map(str::to_owned).collect()
    }
}
