//! The stage of the tests of trouble: a store on a server that may be spoilt, and jobs that count
//! how often they ran.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use executor::{Executor, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Keeper, MariaDb, Own, Postgres, Settings, Store, until};
use tokio::sync::Semaphore;

/// What differs between the servers' makes.
pub(crate) trait Server: Keeper {
    /// What there is a row of for each session that lingers.
    const LINGERING: &'static str;

    /// What is sent only to ask whether the database can hold a value.
    const HOLDS: &'static str;

    /// Makes writes take a while, as a slow disk would.
    fn linger(fresh: &Fresh, when: When);

    /// Ends all sessions of the store's database; how many there were.
    async fn kill_all(fresh: &Fresh) -> usize;

    /// A login with this password, as a URL has it.
    fn login(fresh: &Fresh, password: &str) -> String;
}

/// Which write lingers.
pub(crate) enum When {
    Step,
    Creation,
}

impl Server for Postgres {
    const LINGERING: &'static str =
        "pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    const HOLDS: &'static str = "count(value::jsonb)";

    fn linger(fresh: &Fresh, when: When) {
        fresh.sql(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$",
        );
        let trigger = match when {
            When::Step => "TRIGGER lingers BEFORE UPDATE OF step ON programs",
            When::Creation => "TRIGGER lingers BEFORE INSERT ON programs",
        };
        fresh.sql(&format!(
            "CREATE {trigger} FOR EACH ROW EXECUTE FUNCTION linger()"
        ));
    }

    async fn kill_all(fresh: &Fresh) -> usize {
        let others = "pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let killed = fresh.value("count(pg_terminate_backend(pid))", others);
        killed.expect("a number").parse().expect("a number")
    }

    fn login(_: &Fresh, password: &str) -> String {
        // Anyone may log in: the password is not looked at.
        format!("postgres:{password}")
    }
}

impl Server for MariaDb {
    const LINGERING: &'static str =
        "information_schema.processlist WHERE db = DATABASE() AND state = 'User sleep'";
    const HOLDS: &'static str = "JSON_VALID(word)";

    fn linger(fresh: &Fresh, when: When) {
        let (event, seconds) = match when {
            When::Creation => ("INSERT", "0.3"),
            When::Step => ("UPDATE", "IF(NEW.step <> OLD.step, 0.3, 0)"),
        };
        fresh.sql(&format!(
            "CREATE TRIGGER lingers BEFORE {event} ON programs FOR EACH ROW DO SLEEP({seconds})"
        ));
    }

    async fn kill_all(fresh: &Fresh) -> usize {
        use diesel_async::{AsyncConnection, AsyncMysqlConnection, SimpleAsyncConnection};

        let others = "information_schema.processlist
            WHERE db = DATABASE() AND id <> CONNECTION_ID()";
        let ids = fresh.value("GROUP_CONCAT(id)", others).unwrap_or_default();
        let conn = AsyncMysqlConnection::establish(&fresh.url()).await;
        let mut conn = conn.expect("a login");
        let mut killed = 0;
        for id in ids.split(',') {
            // It may have gone by itself.
            killed += usize::from(conn.batch_execute(&format!("KILL {id}")).await.is_ok());
        }
        killed
    }

    fn login(fresh: &Fresh, password: &str) -> String {
        fresh.sql(&format!("CREATE USER app IDENTIFIED BY '{password}'"));
        fresh.sql("GRANT ALL ON *.* TO app");
        format!("app:{password}")
    }
}

/// A server of the test's own, and a store in it.
pub(crate) struct Site<E: Keeper> {
    pub(crate) fresh: Fresh,
    pub(crate) server: Own<E>,
}

impl<E: Keeper> Site<E> {
    /// `None`: this run is about another database, or the server's programs are missing. Tests with
    /// servers of their own run only once.
    pub(crate) async fn start(settings: Settings) -> Option<Self> {
        if Store::of_this_run() != E::STORE {
            return None;
        }
        let server = Own::<E>::start(settings).await?;
        let fresh = Fresh::at(E::STORE, &server.url());
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

    pub(crate) fn note(&self, ctx: &Context) {
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
