//! What the end-to-end tests share.

mod ledger;
mod place;
mod process;
mod program_executor;
mod proxy;
mod rabbit;
mod servers;
mod sql;
mod store;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use executor::{Builder, Executor, ProgramInfo, RunId};
use tempfile::TempDir;

use self::place::Database;
pub use self::{
    ledger::{Entry, Ledger, note},
    process::{Process, Worker},
    program_executor::{
        Job as StandInJob, Point, ProgramExecutor, SETTINGS as STAND_IN, Settings as StandIn,
    },
    proxy::Proxy,
    rabbit::Rabbit,
    servers::{
        Engine, Keeper, MariaDb, Own, OwnMariaDb, OwnPostgres, OwnRabbitMq, PgBouncer, Pooling,
        Postgres, RabbitMq, Settings,
    },
    sql::Sql,
    store::Store,
};

/// A fresh store: its folder and database go with it, and are named when its test fails.
#[derive(Debug)]
pub struct Fresh {
    folder: TempDir,
    database: Option<Database>,
    store: Store,
}

impl Fresh {
    /// A store that no other test knows, in the database that this run is about.
    ///
    /// # Panics
    /// There is no temporary folder, or no server.
    #[must_use]
    pub fn new() -> Self {
        let store = Store::of_this_run();
        Self::on(store).unwrap_or_else(|| panic!("there is no server for {store:?}"))
    }

    /// The same, where this run is about that database.
    #[must_use]
    pub fn only_on(store: Store) -> Option<Self> {
        (Store::of_this_run() == store).then(Self::new)
    }

    /// The same in this database. `None`: it has no server.
    ///
    /// # Panics
    /// There is no temporary folder, or the server refuses.
    #[must_use]
    pub fn on(store: Store) -> Option<Self> {
        let database = match store {
            Store::Sqlite => None,
            Store::Postgres | Store::MySql => Some(Database::create(store)?),
        };
        Some(Self::with(store, database))
    }

    /// The same in the database of this URL, on a server of the test's own.
    ///
    /// # Panics
    /// There is no temporary folder.
    #[must_use]
    pub fn at(store: Store, url: &str) -> Self {
        Self::with(store, Some(Database::at(store, url)))
    }

    #[allow(clippy::print_stderr, reason = "it is shown where the test fails")]
    fn with(store: Store, database: Option<Database>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let fresh = Self {
            folder,
            database,
            store,
        };
        eprintln!(
            "the store is {}, the folder {}",
            fresh.url(),
            fresh.folder().display()
        );
        fresh
    }

    /// Which database it is in.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store
    }

    /// The database file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    /// The folder of the store, and of what goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the jobs of this store's worker processes note down.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger::in_folder(self.folder())
    }

    /// The store's URL.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.database {
            None => format!("sqlite:{}", self.file().display()),
            Some(database) => database.url(),
        }
    }

    /// Settings for this store, with times that suit a test.
    pub fn builder(&self) -> Builder {
        executor::builder()
            .database_url(self.url())
            .lease(Duration::from_secs(2))
            .cancel_grace(Duration::from_millis(200))
            .shutdown_grace(Duration::from_millis(500))
    }
}

impl Default for Fresh {
    fn default() -> Self {
        Self::new()
    }
}

/// A worker in this process, until it is stopped or dropped.
pub struct Working {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<executor::Result<()>>,
}

impl Working {
    /// Starts a worker.
    #[must_use]
    pub fn start(executor: &Executor) -> Self {
        let executor = executor.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            executor
                .work_until(async {
                    let _ = stopped.await;
                })
                .await
        });
        Self {
            stop: Some(stop),
            task,
        }
    }

    /// Stops it, and waits until it has.
    ///
    /// # Panics
    /// The worker failed.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.expect("no panic").expect("it worked");
    }
}

/// Waits for the end of a program, and not for ever.
///
/// # Panics
/// It does not end in time, or is gone.
pub async fn ended(executor: &Executor, run_id: &RunId) -> ProgramInfo {
    let waiting = executor.wait(run_id);
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("in time")
        .expect("there")
}

/// Polls until `condition` holds, and not for ever.
///
/// # Panics
/// It does not hold in time.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
