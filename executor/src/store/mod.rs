//! The store: what the engine asks of a database, and the databases that can do it.
//!
//! Its verbs are the arrows of the state chart in ARCHITECTURE.md. All of them take what they
//! need by value and are whole when they return: a caller that goes away in between leaves
//! nothing half done.

#[cfg(all(test, feature = "sqlite"))]
mod differential;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(all(test, feature = "sqlite"))]
mod suite;

use std::{any::Any, pin::Pin, sync::Arc, time::Duration};

#[cfg(feature = "mysql")]
pub use self::mysql::MySql;
#[cfg(feature = "postgres")]
pub use self::postgres::Pg;
pub use self::row::{Attempted, ProgramInfo, ProgramState, QueueStats, Stats, WorkerInfo};
#[cfg(feature = "sqlite")]
pub use self::sqlite::Sqlite;
use crate::{
    config::{Config, Scheme},
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
pub(crate) trait Store: Send + Sync + 'static {
    /// Creates or upgrades the tables; the names of what was applied.
    fn migrate(&self) -> StoreFuture<'_, Vec<String>>;

    /// The names of the migrations that are missing.
    fn pending_migrations(&self) -> StoreFuture<'_, Vec<String>>;

    /// Stores programs. Each has a result of its own; all that succeed are durable together.
    fn create(&self, programs: Vec<NewProgram>) -> StoreFuture<'_, Vec<Result<Created>>>;

    /// Stores programs on a connection of the application's, within its transaction.
    fn create_in<'a>(
        &'a self,
        conn: &'a mut (dyn Any + Send),
        programs: Vec<NewProgram>,
    ) -> StoreFuture<'a, Vec<Result<Created>>>;

    /// Takes up to so many due programs, and what it knows of the next due time.
    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, Claimed>;

    /// Writes steps, each behind its fence; at most one write of a program in a batch. `None`: some
    /// client holds the row locked; nothing of that write was done, and it is to be sent again.
    fn commit(&self, writes: Arc<Vec<StepWrite>>) -> StoreFuture<'_, Vec<Option<Written>>>;

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
    fn complete(&self, target: Target, output: Option<String>) -> StoreFuture<'_, bool>;
    fn fail(&self, target: Target, message: String) -> StoreFuture<'_, bool>;
    /// Takes a program out of the workers' hands.
    fn hand_off(&self, run_id: RunId) -> StoreFuture<'_, bool>;
    fn reschedule(&self, run_id: RunId, at: Timestamp) -> StoreFuture<'_, bool>;
    /// Merges fields (shallow; `null` is kept) into the attributes.
    fn set_attributes(&self, run_id: RunId, fields: String) -> StoreFuture<'_, bool>;
    fn set_retry_after(&self, run_id: RunId, delay: Option<Duration>) -> StoreFuture<'_, bool>;
    /// Pauses or resumes a queue; whether that changed something.
    fn set_paused(&self, queue: String, paused: bool) -> StoreFuture<'_, bool>;
    /// Deletes one batch of terminal programs that ended before `age` ago.
    fn prune(&self, age: Duration, limit: usize) -> StoreFuture<'_, usize>;
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
    pub(crate) queues: Vec<String>,
    pub(crate) slots: usize,
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
    /// Whether an unfinished program had the unique key already: then the run id is that one's.
    pub(crate) existed: bool,
}

/// What a worker can take.
#[derive(Debug)]
pub(crate) struct ClaimRequest {
    pub(crate) worker: WorkerId,
    pub(crate) queues: Vec<String>,
    pub(crate) slots: usize,
    pub(crate) bytes: usize,
    pub(crate) lease: Duration,
    pub(crate) max_crashes: u32,
    pub(crate) jobs: Arc<KnownJobs>,
    /// Room left in jobs that have a limit in this worker, by name.
    pub(crate) room: Vec<(&'static str, usize)>,
    /// What this worker runs: it renews these leases where they have ended, and never takes over
    /// from itself (SEMANTICS §2.4).
    pub(crate) running: Vec<Held>,
    /// How many programs may be taken that seem to kill their workers.
    pub(crate) suspects: usize,
    /// Where to look from, for a store that remembers it; empty: from the beginning.
    pub(crate) floors: Vec<Floor>,
}

/// How far the available programs of a job were taken: what lies before has gone, and a look at it
/// would only walk over its remains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) queue: String,
    pub(crate) job: String,
    pub(crate) order_key: i64,
    pub(crate) id: i64,
}

/// Which jobs a claim may name.
#[derive(Debug)]
pub(crate) struct KnownJobs {
    pub(crate) names: std::collections::HashSet<&'static str>,
    /// Whether programs at an unknown job are taken too (to skip or fail it).
    pub(crate) others: bool,
}

impl ClaimRequest {
    /// From how many crashes on a program is a suspect: it runs beside no other one, so that the
    /// neighbours of the one that kills do not use up their crashes with it.
    pub(crate) fn suspect_from(&self) -> u32 {
        self.max_crashes.saturating_sub(1).clamp(1, 3)
    }

    /// How many programs at this job may be taken.
    pub(crate) fn room_for(&self, job: &str) -> usize {
        if !self.jobs.others && !self.jobs.names.contains(job) {
            return 0;
        }
        let limit = self.room.iter().find(|(name, _)| *name == job);
        limit.map_or(self.slots, |(_, room)| (*room).min(self.slots))
    }
}

/// What a claim took.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) programs: Vec<ClaimedProgram>,
    /// How long until the next known due time or lease end.
    pub(crate) next_due: Option<Duration>,
    /// Whether more was due than was taken.
    pub(crate) more: bool,
    /// Whether others were just taking what was due.
    pub(crate) contended: bool,
    /// How far each job's programs were taken, for a store that remembers it.
    pub(crate) floors: Vec<Floor>,
    /// Programs that were errored because they killed worker after worker.
    pub(crate) killed: Vec<Killed>,
}

/// A program that was errored because its workers died in one step of it.
#[derive(Debug)]
pub(crate) struct Killed {
    pub(crate) run_id: RunId,
    pub(crate) step: usize,
    pub(crate) job: String,
    pub(crate) message: String,
}

/// A program under a claim: only a claim makes one.
#[derive(Debug)]
pub(crate) struct ClaimedProgram {
    pub(crate) fence: Fence,
    pub(crate) run_id: RunId,
    /// The job that was claimed, and whose room it takes.
    pub(crate) job: String,
    pub(crate) jobs: String,
    pub(crate) program_data: String,
    pub(crate) job_data: String,
    pub(crate) outputs: String,
    pub(crate) step: usize,
    pub(crate) retry_count: u32,
    pub(crate) ordinal: u32,
    pub(crate) bytes: usize,
    /// Whether it seems to kill its workers.
    pub(crate) suspect: bool,
}

/// What every write of a running program carries (SEMANTICS §1.1): refused when another claim has
/// taken the program, and when this very write was applied before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) id: i64,
    pub(crate) token: i64,
    pub(crate) rev: i64,
}

/// A lease to be extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One write of a running program.
#[derive(Debug)]
pub(crate) struct StepWrite {
    pub(crate) fence: Fence,
    pub(crate) change: Change,
    /// Programs that the job has started since the last write.
    pub(crate) children: Vec<NewProgram>,
    /// How many children the step has started in all, when they are to be remembered.
    pub(crate) ordinal: u32,
    /// What a lease that had run out is extended to, when nobody has taken the program.
    pub(crate) lease: Duration,
}

impl StepWrite {
    /// About how much it adds to a commit.
    pub(crate) fn bytes(&self) -> usize {
        let change = match &self.change {
            Change::Save { job_data } => job_data.len(),
            Change::Advance { outputs, .. }
            | Change::AdvanceAndRelease { outputs, .. }
            | Change::Finish { outputs } => outputs.as_ref().map_or(0, String::len),
            Change::Retry { failure, .. } | Change::Fail { failure } => failure.message.len(),
            Change::Snooze { .. } | Change::HandOff { .. } | Change::GiveBack => 0,
        };
        let children = self
            .children
            .iter()
            .map(|child| child.program.program_data.len() + child.program.job_data.len());
        change + children.sum::<usize>()
    }

    /// After which time it makes the program due by itself, where it does.
    #[cfg(feature = "server")]
    fn due_after(&self) -> Option<Duration> {
        match &self.change {
            Change::Retry { after, .. } | Change::Snooze { after } => Some(*after),
            // The row says after which time a hand-off comes back.
            Change::HandOff { .. } => Some(Duration::ZERO),
            _ => None,
        }
    }

    /// The values that a database might not be able to hold: JSON, and plain texts.
    #[cfg(feature = "server")]
    fn texts<'a>(&'a self, json: &mut Vec<&'a str>, texts: &mut Vec<&'a str>) {
        match &self.change {
            Change::Save { job_data } => json.push(job_data),
            Change::Advance { outputs, .. }
            | Change::AdvanceAndRelease { outputs, .. }
            | Change::Finish { outputs } => json.extend(outputs.as_deref()),
            Change::Retry { failure, .. } | Change::Fail { failure } => {
                texts.push(&failure.message);
            }
            Change::Snooze { .. } | Change::HandOff { .. } | Change::GiveBack => {}
        }
        for child in &self.children {
            let program = &child.program;
            json.extend([
                &*program.program_data,
                &*program.job_data,
                &*program.attributes,
            ]);
        }
    }
}

/// The arrows that a worker can take (the chart is in ARCHITECTURE.md).
#[derive(Debug)]
pub(crate) enum Change {
    /// Progress within a step.
    Save { job_data: String },
    /// The step is done, the next begins under the same claim.
    Advance {
        next: String,
        outputs: Option<String>,
    },
    /// The step is done, and any worker may take the next.
    AdvanceAndRelease {
        next: String,
        outputs: Option<String>,
    },
    /// The last step is done.
    Finish { outputs: Option<String> },
    /// The step failed and runs again.
    Retry { failure: Failure, after: Duration },
    /// The step failed for good.
    Fail { failure: Failure },
    /// The step runs again, and nothing failed.
    Snooze { after: Duration },
    /// The step waits for a completion from outside.
    HandOff { key: String, next: Option<String> },
    /// The claim ends with nothing done.
    GiveBack,
}

/// What is recorded of a failed attempt.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Failure {
    pub(crate) step: usize,
    pub(crate) job: String,
    pub(crate) attempt: u32,
    #[serde(rename = "error")]
    pub(crate) message: String,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is durable; the fence's revision is one higher now.
    Committed,
    /// It is durable, and the next step may not start under this claim: the queue was paused. Any
    /// worker may take the program when it is resumed.
    Released,
    /// It is recorded; the program was stopped from outside, and nothing more may start.
    Stopped,
    /// Another claim has the program: nothing was written.
    LeaseLost,
    /// The database cannot hold it: nothing was written.
    Refused(String),
}

/// What a report from outside is about.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A program of one job.
    RunId(RunId),
    Token(HandOffToken),
}

impl Target {
    pub(crate) fn run_id(&self) -> &RunId {
        match self {
            Self::RunId(run_id) => run_id,
            Self::Token(token) => token.run_id(),
        }
    }
}

/// Which programs a list shows, newest first.
///
/// ```
/// use executor::{Filter, ProgramState};
///
/// let failed_mails = Filter::new().state(ProgramState::Errored).queue("mail").limit(20);
/// # let _ = failed_mails;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub(crate) states: Vec<ProgramState>,
    pub(crate) queue: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) job: Option<String>,
    pub(crate) limit: Option<usize>,
}

impl Filter {
    /// All programs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Programs in this state; several add up.
    pub fn state(mut self, state: ProgramState) -> Self {
        self.states.push(state);
        self
    }

    /// Programs of this queue.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Programs of this name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Programs whose current job is this.
    pub fn job(mut self, job: impl Into<String>) -> Self {
        self.job = Some(job.into());
        self
    }

    /// So many at most; 100 unless said otherwise.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}
