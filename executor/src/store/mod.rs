//! The store: what the engine asks of a database, and the databases that can do it.
//!
//! Its verbs are the arrows of the state chart in ARCHITECTURE.md. All of them take what they
//! need by value and are whole when they return: a caller that goes away in between leaves
//! nothing half done.

mod bulk;
mod claim;
#[cfg(all(test, feature = "sqlite"))]
mod differential;
mod ended;
mod filter;
#[cfg(feature = "rabbitmq")]
mod interop;
mod limited;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
mod schedules;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(all(test, feature = "sqlite"))]
pub(crate) mod suite;
mod waits;
mod write;

use std::{any::Any, pin::Pin, sync::Arc, time::Duration};

pub use self::bulk::{BulkVerb, Tally};
pub use self::ended::Prune;
pub use self::filter::Filter;
#[cfg(feature = "rabbitmq")]
pub(crate) use self::interop::{Adopted, Offer, Orphans, Taken};
#[cfg(feature = "mysql")]
pub use self::mysql::MySql;
#[cfg(feature = "postgres")]
pub use self::postgres::Pg;
pub use self::row::{Attempted, ProgramInfo, ProgramState, QueueStats, Stats, WorkerInfo};
#[cfg(feature = "sqlite")]
pub use self::sqlite::Sqlite;
pub(crate) use self::{
    bulk::{Batch, Bulk},
    claim::{ClaimRequest, Claimed, ClaimedProgram, Floor, Killed, KnownJobs},
    ended::Ended,
    limited::{Hold, LimitedJob, LimitedRequest},
    schedules::{Declared, Filling, ScheduleStore, SetSchedule},
    waits::{Resumed, Settled, Waits},
    write::{Change, Failure, Fence, StepWrite, Written},
};
use crate::{
    config::{Config, Scheme, Share},
    error::{Error, ErrorKind, Result},
    hand_off::HandOffToken,
    job::TxConn,
    program::Checked,
    run_id::RunId,
    time::Timestamp,
};

pub(crate) type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Opens the store that the configuration names.
pub(crate) async fn connect(config: &Config) -> Result<Arc<dyn Store>> {
    match config.database_url.scheme() {
        #[cfg(feature = "sqlite")]
        Scheme::Sqlite => Ok(Arc::new(sqlite::SqliteStore::open(config).await?)),
        #[cfg(feature = "postgres")]
        Scheme::Postgres => Ok(Arc::new(postgres::open(config)?)),
        #[cfg(feature = "mysql")]
        Scheme::MySql => Ok(Arc::new(mysql::open(config)?)),
        #[allow(unreachable_patterns, reason = "where all stores are compiled in")]
        scheme => Err(Error::new(
            ErrorKind::Configuration,
            format!(
                "this build has no store for {}; add the feature {:?} to the dependency on executor",
                config.database_url,
                scheme.feature(),
            ),
        )),
    }
}

/// A connection of the application that is not one to this store.
#[cfg(feature = "sql")]
fn foreign_connection(store: &str) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!(
            "the connection is of another database than the executor's store, which is {store}"
        ),
    )
}

/// What the engine asks of a database.
pub(crate) trait Store: ScheduleStore + Send + Sync + 'static {
    /// Creates or upgrades the tables; the names of what was applied.
    fn migrate(&self) -> StoreFuture<'_, Vec<String>>;

    /// The names of the migrations that are missing.
    fn pending_migrations(&self) -> StoreFuture<'_, Vec<String>>;

    /// Stores programs. Each has a result of its own; all that succeed are durable together.
    fn create(&self, programs: Vec<NewProgram>) -> StoreFuture<'_, Vec<Result<Created>>>;

    /// The same, where somebody else tells the workers: those of other processes are not woken.
    fn create_quietly(&self, programs: Vec<NewProgram>) -> StoreFuture<'_, Vec<Result<Created>>>;

    /// Wakes the workers, here and elsewhere: something may be due.
    fn ring(&self);

    /// Stores programs on a connection of the application's, within its transaction.
    fn create_in<'a>(
        &'a self,
        conn: &'a mut (dyn Any + Send),
        programs: Vec<NewProgram>,
    ) -> StoreFuture<'a, Vec<Result<Created>>>;

    /// Takes up to so many due programs, and what it knows of the next due time.
    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, Claimed>;

    /// Takes due programs at jobs that have a limit over all workers, as far as the limits let them
    /// start. Their places are given back by [`release`](Store::release).
    fn claim_limited(&self, request: LimitedRequest) -> StoreFuture<'_, Claimed>;

    /// Gives places under limits back, and tells those who may have waited for them.
    fn release(&self, holds: Vec<Hold>) -> StoreFuture<'_, ()>;

    /// Extends the places of a worker that lives; those that it still has. What has ended stays ended:
    /// another one may have got it.
    fn extend_holds(&self, worker: WorkerId, time: Duration) -> StoreFuture<'_, Vec<Held>>;

    /// Writes steps, each behind its fence; at most one write of a program in a batch. `None`: some
    /// client holds the row locked; nothing of that write was done, and it is to be sent again.
    fn commit(&self, writes: Arc<Vec<StepWrite>>) -> StoreFuture<'_, Vec<Option<Written>>>;

    /// Lets those programs go on whose wait for another one is over, of these waits.
    fn settle(&self, waits: Waits) -> StoreFuture<'_, Settled>;

    /// The store's name, as jobs with a [`Tx`](crate::Tx) ask for it.
    fn name(&self) -> &'static str;

    /// Begins a transaction for a job's own writes.
    fn begin(&self) -> StoreFuture<'_, Box<dyn TxConn>>;

    /// How long such a transaction may take, where others wait for its end.
    fn tx_limit(&self, lease: Duration) -> Option<Duration> {
        let _ = lease;
        None
    }

    /// Ends a job's transaction with the last writes of its step, one behind the other. Where nothing
    /// was written, nothing of the transaction stays.
    ///
    /// # Errors
    /// Whether it was committed is not known: [`was_written`](Store::was_written) tells.
    fn commit_in(&self, tx: Box<dyn TxConn>, writes: Vec<StepWrite>) -> StoreFuture<'_, Written>;

    /// What became of a write whose answer was lost; `None`: it was not applied, and never will be.
    fn was_written(&self, fence: Fence) -> StoreFuture<'_, Option<Written>>;

    /// Extends leases, and tells which of them were lost or stopped.
    fn heartbeat(
        &self,
        worker: WorkerId,
        lease: Duration,
        held: Vec<Held>,
    ) -> StoreFuture<'_, Vec<Pulse>>;

    /// Leases that end further ahead than any worker's lease, or a receiver's: they end one lease from now, as do
    /// the places under limits of the dead, with the grace of their bodies. How many leases there were.
    fn shorten_leases(&self, grace: Duration) -> StoreFuture<'_, usize>;

    /// Makes this worker known; its leases can be told from those of a dead one.
    fn register(&self, worker: WorkerRecord) -> StoreFuture<'_, ()>;

    /// Takes this worker off the list.
    fn deregister(&self, worker: WorkerId) -> StoreFuture<'_, ()>;

    /// What may cost committed steps when the database crashes, and what to do (SEMANTICS §1.8).
    fn durability_warning(&self) -> StoreFuture<'_, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    /// Workers that live.
    fn workers(&self) -> StoreFuture<'_, Vec<WorkerInfo>>;

    /// Hears when something may have become due.
    fn listener(&self) -> Box<dyn Listener + '_>;

    fn get(&self, run_id: RunId) -> StoreFuture<'_, Option<ProgramInfo>>;
    fn list(&self, filter: Filter) -> StoreFuture<'_, Vec<ProgramInfo>>;
    fn children(&self, parent: RunId) -> StoreFuture<'_, Vec<RunId>>;
    fn stats(&self) -> StoreFuture<'_, Stats>;

    /// Ends an unfinished program as errored.
    fn cancel(&self, run_id: RunId, message: String) -> StoreFuture<'_, bool>;
    /// Makes a terminal program go on from the step at which it ended; `reset` of its retries.
    fn retry(&self, run_id: RunId) -> StoreFuture<'_, bool>;
    fn delete(&self, run_id: RunId) -> StoreFuture<'_, bool>;
    fn complete(
        &self,
        target: Target,
        output: Option<String>,
        then: Afterwards,
    ) -> StoreFuture<'_, bool>;
    fn fail(&self, target: Target, message: String, then: Afterwards) -> StoreFuture<'_, bool>;
    /// Takes a program out of the workers' hands.
    fn hand_off(&self, run_id: RunId) -> StoreFuture<'_, bool>;
    fn reschedule(&self, run_id: RunId, at: Timestamp) -> StoreFuture<'_, bool>;
    /// Merges fields (shallow; `null` is kept) into the attributes.
    fn set_attributes(&self, run_id: RunId, fields: String) -> StoreFuture<'_, bool>;
    fn set_retry_after(&self, run_id: RunId, delay: Option<Duration>) -> StoreFuture<'_, bool>;
    /// Pauses or resumes a queue; whether that changed something.
    fn set_paused(&self, queue: String, paused: bool) -> StoreFuture<'_, bool>;
    /// The first queue behind this one, by name, that may have programs which ended so.
    fn queue_of_ended(&self, state: ProgramState, after: String)
    -> StoreFuture<'_, Option<String>>;
    /// Deletes the oldest of these, one batch of so many at most; how many they were.
    fn prune(&self, ended: Ended, limit: usize) -> StoreFuture<'_, usize>;
    /// How many of these there are.
    fn count_ended(&self, ended: Ended) -> StoreFuture<'_, usize>;
    /// Forgets keys of the past, one batch of so many at most; how many they were.
    fn clear_unique(&self, limit: usize) -> StoreFuture<'_, usize>;
    /// One batch of programs that match, the next ones behind the row `floor`.
    fn bulk(&self, bulk: Arc<Bulk>, floor: i64, limit: usize) -> StoreFuture<'_, Batch>;
    /// How many programs match.
    fn count(&self, bulk: Arc<Bulk>) -> StoreFuture<'_, usize>;

    /// Takes programs that messages name from the broker into the store.
    #[cfg(feature = "rabbitmq")]
    fn take_in(&self, offers: Vec<Offer>) -> StoreFuture<'_, Vec<Taken>>;
    /// The broker has the messages of these new programs, and with them the programs.
    #[cfg(feature = "rabbitmq")]
    fn announced(&self, run_ids: Vec<RunId>) -> StoreFuture<'_, ()>;
    /// Takes a batch of programs into the store whose messages are lost, those behind the row `floor`.
    #[cfg(feature = "rabbitmq")]
    fn adopt(&self, orphans: Orphans, floor: i64) -> StoreFuture<'_, Adopted>;
}

/// An ear at the store. Each worker has its own.
pub(crate) trait Listener: Send {
    /// Counts what changes from now on.
    fn mark(&mut self);

    /// Behind all that is heard: how far away the next look for something due is at most.
    fn slow_poll(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Waits until something may have become due since the mark, and not longer than the time.
    fn changed(&mut self, at_most: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A worker's identity: new at each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WorkerId(uuid::Uuid);

impl WorkerId {
    pub(crate) fn new() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl std::fmt::Display for WorkerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What the list of workers shows.
#[derive(Debug)]
pub(crate) struct WorkerRecord {
    pub(crate) id: WorkerId,
    pub(crate) host: String,
    pub(crate) pid: u32,
    /// Its queues, and the slots of those that share them.
    pub(crate) shares: Vec<Share>,
    pub(crate) lease: Duration,
}

/// A program to be stored.
#[derive(Debug)]
pub(crate) struct NewProgram {
    pub(crate) run_id: RunId,
    pub(crate) program: Checked,
    pub(crate) parent: Option<RunId>,
}

/// What creating a program came to.
#[derive(Clone, Debug)]
pub(crate) struct Created {
    pub(crate) run_id: RunId,
    /// Whether another program had the key already: then the run id is that one's.
    pub(crate) existed: bool,
    /// Whether that one waited, and its data was replaced.
    pub(crate) replaced: bool,
}

impl Created {
    /// The program itself.
    #[cfg(feature = "sql")]
    fn anew(run_id: RunId) -> Self {
        Self {
            run_id,
            existed: false,
            replaced: false,
        }
    }

    /// Another program stands for it.
    #[cfg(feature = "sql")]
    fn there(run_id: RunId) -> Self {
        Self {
            existed: true,
            ..Self::anew(run_id)
        }
    }
}

/// A lease to be extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) id: i64,
    pub(crate) token: i64,
}

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    Alive,
    /// Stopped from outside: the job is to be cancelled.
    Stopped,
    /// Another claim has the program.
    Lost,
    /// Somebody holds its row locked: nothing was extended, and the claim is there still.
    Locked,
}

/// What a report from outside is about.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A program of one job.
    RunId(RunId),
    Token(HandOffToken),
}

/// What becomes of a program that a report ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    Keep,
    Delete,
}

impl Target {
    pub(crate) fn run_id(&self) -> &RunId {
        match self {
            Self::RunId(run_id) => run_id,
            Self::Token(token) => token.run_id(),
        }
    }
}
