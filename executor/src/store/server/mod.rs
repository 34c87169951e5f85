//! A store on a database server: what PostgreSQL and MySQL share.
//!
//! A verb is one transaction on a connection of its own, with a deadline. A connection whose
//! transaction has not come to its end is closed, never used again: so a caller that goes away, a
//! deadline that passes and a server that does not answer leave nothing half done.
//!
//! Claims, commits and everything else have their own lanes of connections, so that none waits for
//! another.

pub(super) mod certificates;
mod create;
mod ear;
mod pool;
mod session;
mod tx;
pub(super) mod url;

use std::{any::Any, sync::Arc, time::Duration};

use diesel_async::AsyncConnection;
use tokio::sync::watch;

use self::pool::Lane;
pub(super) use self::{
    ear::Bell,
    pool::Purpose,
    session::{Begin, ServerSession},
};
use super::{
    ClaimRequest, Claimed, ClaimedProgram, Created, Fence, Filter, Floor, Held, Listener,
    NewProgram, ProgramInfo, Pulse, Stats, StepWrite, Store, StoreFuture, Target, WorkerId,
    WorkerInfo, WorkerRecord, Written, foreign_connection,
    sql::{
        self, Outcome, Session, control, query, report,
        schema::Schema,
        statement::{Filled, Texts},
    },
};
use crate::{
    error::{Error, ErrorKind, Result},
    job::TxConn,
    run_id::RunId,
    time::Timestamp,
};

/// What a database server brings: connections, and the verbs that must be fast.
pub(super) trait Database: Send + Sync + Sized + 'static {
    type Conn: AsyncConnection + Send + 'static;

    const SCHEMA: &'static Schema;

    /// The database's name.
    const NAME: &'static str;

    /// A new connection.
    fn connect(&self, purpose: Purpose) -> impl Future<Output = Result<Self::Conn>> + Send;

    /// Asks the server for a sign of life.
    fn ping(conn: &mut Self::Conn) -> impl Future<Output = diesel::QueryResult<()>> + Send;

    /// What begins a transaction; `None`: nothing, its only statement is one by itself.
    fn begin(&self, begin: Begin) -> Option<String>;

    /// Keeps other migrations out until the transaction ends.
    fn lock_migrations(s: &mut ServerSession<Self>) -> impl Future<Output = Outcome<()>> + Send;

    /// Runs a statement, where `begin` is given as the first of a transaction.
    fn execute(
        conn: &mut Self::Conn,
        begin: Option<String>,
        statement: Filled<'_, ()>,
    ) -> impl Future<Output = diesel::QueryResult<usize>> + Send;

    /// Runs a statement whose rows are one text each.
    fn texts(
        conn: &mut Self::Conn,
        begin: Option<String>,
        statement: Filled<'_, diesel::sql_types::Text>,
    ) -> impl Future<Output = diesel::QueryResult<Vec<String>>> + Send;

    /// Inserts programs, those of `absent` only where their run id is not there yet; the run ids that
    /// were inserted.
    fn insert<S: Session>(
        s: &mut S,
        programs: &[&NewProgram],
        absent: bool,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;

    /// Takes due programs. `look`: whether what has become due by itself is looked for before.
    fn claim(
        s: &mut ServerSession<Self>,
        request: &ClaimRequest,
        look: bool,
    ) -> impl Future<Output = Outcome<Claimed>> + Send;

    /// Writes those programs that are as their workers know them, all at once. `last`: nothing else
    /// follows in the transaction, which may end with it.
    fn commit(
        s: &mut ServerSession<Self>,
        writes: &[StepWrite],
        last: bool,
    ) -> impl Future<Output = Outcome<Vec<Straight>>> + Send;

    fn heartbeat(
        s: &mut ServerSession<Self>,
        worker: WorkerId,
        lease: Duration,
        held: &[Held],
    ) -> impl Future<Output = Outcome<Vec<Pulse>>> + Send;

    fn prune(
        s: &mut ServerSession<Self>,
        age: Duration,
        limit: usize,
    ) -> impl Future<Output = Outcome<usize>> + Send;

    /// Whether the database can hold these texts (SEMANTICS §1.4).
    fn can_hold(
        s: &mut ServerSession<Self>,
        json: &[&str],
        texts: &[&str],
    ) -> impl Future<Output = Outcome<()>> + Send;

    /// Whether a transaction that has failed so may succeed when it is begun once more: the database
    /// has chosen it to give way to another one.
    fn gives_way(error: &diesel::result::Error) -> bool {
        let _ = error;
        false
    }

    /// What of the server's settings may cost committed steps when it crashes, and what to do.
    fn durability_warning(
        _s: &mut ServerSession<Self>,
    ) -> impl Future<Output = Outcome<Option<String>>> + Send {
        async { Ok(None) }
    }

    /// An error of the database in the user's words.
    fn explain(&self, error: diesel::result::Error) -> Error;

    /// Tells other processes that something may be due.
    fn ring<S: Session>(
        s: &mut S,
        store: &Inner<Self>,
        whose: Whose,
    ) -> impl Future<Output = Outcome<()>> + Send;

    /// Hears what other processes ring, and passes it on; never ends.
    fn hear(store: Arc<Inner<Self>>, bell: watch::Sender<u64>) -> impl Future<Output = ()> + Send;

    /// How long nobody looks for what is due where nothing is heard.
    const SLOW_POLL: Duration;
}

/// What became of a write on the straight way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Straight {
    /// It is written.
    Written,
    /// It is written, and its queue is paused.
    Paused,
    /// Its row is not as the worker knew it, or locked by some client: nothing was written.
    Not,
}

/// Who hears a message first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This process has heard it already.
    Ours,
    /// Nobody has: it is part of a transaction of the application's.
    Anybodys,
}

/// How often busy claims look for what has become due by itself.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a person waits for an answer at most.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct ServerStore<D: Database>(Arc<Inner<D>>);

/// What a store and its tasks share.
pub(super) struct Inner<D: Database> {
    pub(super) database: D,
    texts: Arc<Texts>,
    /// How long the engine waits for an answer: a third of the lease.
    pub(super) deadline: Duration,
    claims: Lane<D>,
    commits: Lane<D>,
    pub(super) others: Lane<D>,
    transactions: Lane<D>,
    bell: Bell,
    looked: std::sync::Mutex<Looked>,
}

/// When what becomes due by itself was looked for.
#[derive(Default)]
struct Looked {
    at: Option<tokio::time::Instant>,
    next_due: Option<tokio::time::Instant>,
    /// How far the jobs' programs were taken, as long as claims come back full.
    floors: Vec<Floor>,
    from_the_beginning: Option<tokio::time::Instant>,
    /// How many claims in a row have got nothing of what others were taking.
    in_vain: u32,
    /// The bytes of a program, on average over the last ones taken; zero: not known yet.
    bytes: usize,
    /// Whether the last claim has.
    failed: bool,
}

impl Looked {
    /// How many programs to ask for: twice what the byte budget is likely to let in, or a claim of large
    /// ones would read many that it can't take.
    fn slots(&self, request: &ClaimRequest) -> usize {
        const FEW: usize = 16;
        let likely = request.bytes.checked_div(self.bytes).unwrap_or(usize::MAX);
        let least = if self.failed { 1 } else { FEW };
        request.slots.min(likely.saturating_mul(2).max(least))
    }

    fn has_seen(&mut self, programs: &[ClaimedProgram]) {
        let bytes: usize = programs.iter().map(|program| program.bytes).sum();
        if let Some(average) = bytes.checked_div(programs.len()) {
            self.bytes = average.max(self.bytes.midpoint(average));
            self.failed = false;
        }
    }

    /// A claim has failed: it may have taken too long for what it was to read, and the next asks for
    /// less.
    fn has_failed(&mut self, request: &ClaimRequest) {
        let asked = request.bytes / request.slots.max(1);
        let larger = self.bytes.max(asked).saturating_mul(4);
        self.bytes = larger.min(request.bytes);
        self.failed = true;
    }
}

impl<D: Database> ServerStore<D> {
    pub(super) fn new(database: Arc<D>, texts: Texts, lease: Duration) -> Self
    where
        D: Clone,
    {
        let deadline = (lease / 3).max(Duration::from_millis(500));
        let lane = |purpose, size| Lane::new(Arc::clone(&database), purpose, size, deadline / 2);
        Self(Arc::new(Inner {
            claims: lane(Purpose::Engine, 1),
            commits: lane(Purpose::Engine, 1),
            others: lane(Purpose::Engine, 6),
            transactions: lane(Purpose::Jobs, tx::MOST),
            database: D::clone(&database),
            texts: Arc::new(texts),
            deadline,
            bell: Bell::default(),
            looked: std::sync::Mutex::default(),
        }))
    }
}

impl<D: Database> Inner<D> {
    /// A session on a connection of this lane; its transaction begins with its first statement.
    pub(super) async fn session(&self, lane: &Lane<D>, begin: Begin) -> Outcome<ServerSession<D>> {
        let conn = lane.take().await?;
        Ok(ServerSession::new(
            conn,
            Arc::clone(&self.texts),
            self.database.begin(begin),
        ))
    }

    /// Whether a transaction that has failed is to be begun once more; it has waited for a moment then.
    pub(super) async fn goes_again(&self, failure: &sql::Failure, tried: &mut u32) -> bool {
        const MOST: u32 = 8;
        let again = match failure {
            sql::Failure::Sql(error) => *tried < MOST && D::gives_way(error),
            sql::Failure::Ours(_) => false,
        };
        if again {
            *tried += 1;
            // Not both at the same time again.
            let pause = fastrand::u64(1..=4 << *tried);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        again
    }

    /// Waits for a verb, and not for ever: when the time has passed, its connection is closed, and with
    /// it those that nobody uses.
    pub(super) async fn within<T>(
        &self,
        deadline: Duration,
        verb: impl Future<Output = Outcome<T>> + Send,
    ) -> Result<T> {
        match tokio::time::timeout(deadline, verb).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(sql::Failure::Ours(error))) => Err(error),
            Ok(Err(sql::Failure::Sql(error))) => Err(self.database.explain(error)),
            Err(_) => {
                self.others.clear();
                self.transactions.clear();
                let message = format!("the database has not answered within {deadline:?}");
                Err(Error::new(ErrorKind::Store, message).away_if(true))
            }
        }
    }
}

/// A verb in a transaction: `verb!(store, lane, begin, deadline, |s| future)`.
macro_rules! verb {
    ($store:expr, $lane:ident, $begin:ident, $deadline:expr, |$s:ident| $verb:expr) => {{
        let store = &$store;
        store
            .within($deadline, async {
                let mut tried = 0;
                loop {
                    let mut session = store.session(&store.$lane, Begin::$begin).await?;
                    let $s = &mut session;
                    let done = $verb.await;
                    match session.end(done).await {
                        Err(failure) if store.goes_again(&failure, &mut tried).await => {}
                        done => break done,
                    }
                }
            })
            .await
    }};
}
pub(super) use verb;

/// A verb that people use, and that changes something.
macro_rules! change {
    ($store:ident, |$s:ident| $verb:expr) => {
        Box::pin(async move {
            let done = verb!($store.0, others, Engine, PATIENCE, |$s| $verb)?;
            $store.0.will_be_due(Duration::ZERO);
            Ok(done)
        })
    };
}

/// A verb that people use, after which something may be due.
macro_rules! change_and_ring {
    ($store:ident, |$s:ident| $verb:expr) => {
        Box::pin(async move {
            let done = verb!($store.0, others, Engine, PATIENCE, |$s| $verb)?;
            $store.0.will_be_due(Duration::ZERO);
            $store.ring();
            Ok(done)
        })
    };
}

/// A verb that people use, and that looks only.
macro_rules! look {
    ($store:ident, |$s:ident| $verb:expr) => {
        Box::pin(async move { verb!($store.0, others, Look, PATIENCE, |$s| $verb) })
    };
}

#[cfg(test)]
impl<D: Database> ServerStore<D> {
    pub(super) fn texts(&self) -> &Texts {
        &self.0.texts
    }

    pub(super) fn inner(&self) -> &Inner<D> {
        &self.0
    }
}

impl<D: Database> ServerStore<D> {
    /// Wakes those who wait for something to do, here and elsewhere.
    fn ring(&self) {
        self.0.bell.ring(&self.0);
    }
}

impl<D: Database> Store for ServerStore<D> {
    fn migrate(&self) -> StoreFuture<'_, Vec<String>> {
        // As long as it takes: an index over a large table is not made in a minute.
        Box::pin(async move {
            // Looking first lets those work who may not change the schema.
            if self.pending_migrations().await?.is_empty() {
                return Ok(Vec::new());
            }
            verb!(self.0, others, Migration, FOR_EVER, |s| async {
                D::lock_migrations(s).await?;
                sql::schema::migrate(s, D::SCHEMA).await
            })
        })
    }

    fn pending_migrations(&self) -> StoreFuture<'_, Vec<String>> {
        look!(self, |s| sql::schema::pending(s, D::SCHEMA))
    }

    fn create(&self, programs: Vec<NewProgram>) -> StoreFuture<'_, Vec<Result<Created>>> {
        Box::pin(async move {
            let created = create::create(&self.0, &programs).await?;
            self.ring();
            Ok(created)
        })
    }

    fn create_in<'a>(
        &'a self,
        conn: &'a mut (dyn Any + Send),
        programs: Vec<NewProgram>,
    ) -> StoreFuture<'a, Vec<Result<Created>>> {
        Box::pin(async move {
            let conn = conn.downcast_mut::<D::Conn>();
            let conn = conn.ok_or_else(|| foreign_connection(D::NAME))?;
            create::create_in(&self.0, conn, &programs).await
        })
    }

    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, Claimed> {
        Box::pin(async move {
            let began = tokio::time::Instant::now();
            let look = self.0.looked_long_ago();
            let slots = self.0.looked().slots(&request);
            let floors = self.0.floors();
            let request = ClaimRequest {
                slots,
                floors,
                ..request
            };
            let claimed = verb!(self.0, claims, Engine, self.0.deadline, |s| D::claim(
                s, &request, look
            ));
            if claimed.is_err() {
                self.0.looked().has_failed(&request);
            }
            self.0.has_looked(&request, look, began, claimed)
        })
    }

    fn commit(&self, writes: Arc<Vec<StepWrite>>) -> StoreFuture<'_, Vec<Option<Written>>> {
        Box::pin(async move {
            let written = self.0.commit(&writes).await?;
            let after = writes
                .iter()
                .zip(&written)
                .filter_map(|(write, written)| match written {
                    // The end of a body that was taken away lets others begin.
                    Some(Written::LeaseLost) => Some(Duration::ZERO),
                    _ => write.due_after(),
                });
            if let Some(after) = after.min() {
                self.0.will_be_due(after);
            }
            if writes.iter().any(sql::commit::makes_due) {
                self.ring();
            }
            Ok(written)
        })
    }

    fn name(&self) -> &'static str {
        D::NAME
    }

    fn begin(&self) -> StoreFuture<'_, Box<dyn TxConn>> {
        Box::pin(tx::begin(&self.0))
    }

    fn commit_in(&self, tx: Box<dyn TxConn>, writes: Vec<StepWrite>) -> StoreFuture<'_, Written> {
        Box::pin(async move {
            let written = tx::commit(&self.0, tx, &writes).await?;
            if writes.iter().any(sql::commit::makes_due) {
                self.ring();
            }
            Ok(written)
        })
    }

    fn was_written(&self, fence: Fence) -> StoreFuture<'_, Option<Written>> {
        Box::pin(async move {
            verb!(self.0, others, Look, self.0.deadline, |s| {
                sql::commit::was_written(s, fence)
            })
        })
    }

    fn heartbeat(
        &self,
        worker: WorkerId,
        lease: Duration,
        held: Vec<Held>,
    ) -> StoreFuture<'_, Vec<Pulse>> {
        Box::pin(async move {
            verb!(self.0, others, Engine, self.0.deadline, |s| async {
                sql::workers::seen(s, worker).await?;
                if held.is_empty() {
                    return Ok(Vec::new());
                }
                D::heartbeat(s, worker, lease, &held).await
            })
        })
    }

    fn register(&self, worker: WorkerRecord) -> StoreFuture<'_, ()> {
        change!(self, |s| sql::workers::register(s, &worker))
    }

    fn deregister(&self, worker: WorkerId) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            verb!(self.0, others, Engine, self.0.deadline, |s| {
                sql::workers::deregister(s, worker)
            })
        })
    }

    fn durability_warning(&self) -> StoreFuture<'_, Option<String>> {
        look!(self, |s| D::durability_warning(s))
    }

    fn workers(&self) -> StoreFuture<'_, Vec<WorkerInfo>> {
        look!(self, |s| sql::workers::live(s))
    }

    fn listener(&self) -> Box<dyn Listener + '_> {
        Box::new(self.0.bell.listener(&self.0))
    }

    fn get(&self, run_id: RunId) -> StoreFuture<'_, Option<ProgramInfo>> {
        Box::pin(async move { verb!(self.0, others, Alone, PATIENCE, |s| query::get(s, &run_id)) })
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Vec<ProgramInfo>> {
        look!(self, |s| query::list(s, &filter))
    }

    fn children(&self, parent: RunId) -> StoreFuture<'_, Vec<RunId>> {
        look!(self, |s| query::children(s, &parent))
    }

    fn stats(&self) -> StoreFuture<'_, Stats> {
        look!(self, |s| query::stats(s))
    }

    fn cancel(&self, run_id: RunId, message: String) -> StoreFuture<'_, bool> {
        change!(self, |s| control::cancel(s, &run_id, &message))
    }

    fn retry(&self, run_id: RunId) -> StoreFuture<'_, bool> {
        change_and_ring!(self, |s| control::retry(s, &run_id))
    }

    fn delete(&self, run_id: RunId) -> StoreFuture<'_, bool> {
        change!(self, |s| control::delete(s, &run_id))
    }

    fn complete(&self, target: Target, output: Option<String>) -> StoreFuture<'_, bool> {
        change_and_ring!(self, |s| report::complete(s, &target, output.as_deref()))
    }

    fn fail(&self, target: Target, message: String) -> StoreFuture<'_, bool> {
        change_and_ring!(self, |s| report::fail(s, &target, &message))
    }

    fn hand_off(&self, run_id: RunId) -> StoreFuture<'_, bool> {
        change!(self, |s| report::hand_off(s, &run_id))
    }

    fn reschedule(&self, run_id: RunId, at: Timestamp) -> StoreFuture<'_, bool> {
        change_and_ring!(self, |s| control::reschedule(s, &run_id, at))
    }

    fn set_attributes(&self, run_id: RunId, fields: String) -> StoreFuture<'_, bool> {
        change!(self, |s| control::set_attributes(s, &run_id, &fields))
    }

    fn set_retry_after(&self, run_id: RunId, delay: Option<Duration>) -> StoreFuture<'_, bool> {
        change_and_ring!(self, |s| control::set_retry_after(s, &run_id, delay))
    }

    fn set_paused(&self, queue: String, paused: bool) -> StoreFuture<'_, bool> {
        change_and_ring!(self, |s| control::set_paused(s, &queue, paused))
    }

    fn prune(&self, age: Duration, limit: usize) -> StoreFuture<'_, usize> {
        change!(self, |s| D::prune(s, age, limit))
    }
}

impl<D: Database> Inner<D> {
    /// Whether it is time to look for what becomes due by itself: when the known next due time has
    /// come, and else now and then. Busy claims need not look each time.
    fn looked_long_ago(&self) -> bool {
        let looked = self.looked();
        let now = tokio::time::Instant::now();
        looked.at.is_none_or(|at| now - at >= LOOK_EVERY)
            || looked.next_due.is_some_and(|at| at <= now)
    }

    /// Something becomes due after this time, or sooner.
    fn will_be_due(&self, after: Duration) {
        let due = tokio::time::Instant::now() + after;
        let mut looked = self.looked();
        looked.next_due = Some(looked.next_due.map_or(due, |at| at.min(due)));
    }

    /// Notes what a claim has seen.
    fn has_looked(
        &self,
        request: &ClaimRequest,
        look: bool,
        began: tokio::time::Instant,
        claimed: Result<Claimed>,
    ) -> Result<Claimed> {
        let mut claimed = claimed?;
        let mut looked = self.looked();
        let now = tokio::time::Instant::now();
        if look {
            looked.at = Some(began);
            looked.next_due = claimed.next_due.map(|wait| now + wait);
        } else {
            claimed.next_due = looked.next_due.map(|at| at.saturating_duration_since(now));
        }
        looked.has_seen(&claimed.programs);
        self.has_taken(&mut looked, request, &mut claimed);
        if claimed.contended && claimed.programs.is_empty() {
            // Others are taking the same programs: what they leave is to be had in a moment.
            let pause = Duration::from_millis(1 << looked.in_vain.min(9));
            looked.in_vain += 1;
            claimed.next_due = Some(claimed.next_due.map_or(pause, |due| due.min(pause)));
        } else {
            looked.in_vain = 0;
        }
        Ok(claimed)
    }

    /// Where the next claim looks from: a busy one goes on where the last one has stopped, and looks
    /// from the beginning now and then, for what has a better place.
    fn floors(&self) -> Vec<Floor> {
        const EVERY: Duration = Duration::from_millis(500);
        let mut looked = self.looked();
        let now = tokio::time::Instant::now();
        if looked.from_the_beginning.is_none_or(|at| now - at >= EVERY) {
            looked.floors.clear();
        }
        if looked.floors.is_empty() {
            looked.from_the_beginning = Some(now);
        }
        looked.floors.clone()
    }

    fn has_taken(&self, looked: &mut Looked, request: &ClaimRequest, claimed: &mut Claimed) {
        let full = claimed.programs.len() == request.slots;
        for floor in std::mem::take(&mut claimed.floors) {
            let same = |known: &&mut Floor| known.queue == floor.queue && known.job == floor.job;
            match looked.floors.iter_mut().find(same) {
                Some(known) => *known = floor,
                None => looked.floors.push(floor),
            }
        }
        if !full {
            looked.floors.clear();
            if !request.floors.is_empty() {
                // There may be more before.
                claimed.more = true;
                claimed.next_due = Some(Duration::ZERO);
            }
        }
    }

    fn looked(&self) -> std::sync::MutexGuard<'_, Looked> {
        self.looked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn commit(&self, writes: &[StepWrite]) -> Result<Vec<Option<Written>>> {
        match self.write(writes).await {
            Err(error) if error.kind() == ErrorKind::Store => {
                // A value that the database refuses looks as if the database were in trouble.
                let (mut json, mut texts) = (Vec::new(), Vec::new());
                for write in writes {
                    write.texts(&mut json, &mut texts);
                }
                Err(self.refusal(&json, &texts).await.unwrap_or(error))
            }
            written => written,
        }
    }

    /// Writes of running programs: those that are as the worker knows them all at once, the others by
    /// what is found. Each write is whole by itself, so that the two need not share a transaction;
    /// where children come with a write, they do.
    async fn write(&self, writes: &[StepWrite]) -> Result<Vec<Option<Written>>> {
        if writes.iter().any(sql::commit::stores_children) {
            return verb!(self, commits, Engine, self.deadline, |s| async {
                let straight = D::commit(s, writes, false).await?;
                settle_rest(s, writes, &straight).await
            });
        }
        let straight = verb!(self, commits, Engine, self.deadline, |s| D::commit(
            s, writes, true
        ))?;
        let done = |(write, straight): (&StepWrite, &Straight)| match straight {
            Straight::Written => true,
            Straight::Paused => !sql::commit::goes_on(write),
            Straight::Not => false,
        };
        if writes.iter().zip(&straight).all(done) {
            return Ok(vec![Some(Written::Committed); writes.len()]);
        }
        verb!(self, commits, Engine, self.deadline, |s| settle_rest(
            s, writes, &straight
        ))
    }

    /// Whether the database is well, and can't hold these values: then the reason (SEMANTICS §1.4).
    async fn refusal(&self, json: &[&str], texts: &[&str]) -> Option<Error> {
        let can_hold = async |json: &[&str], texts: &[&str]| {
            verb!(self, others, Look, self.deadline, |s| D::can_hold(
                s, json, texts
            ))
        };
        can_hold(&[], &[]).await.ok()?;
        let error = can_hold(json, texts).await.err()?;
        // It may just have gone away.
        can_hold(&[], &[]).await.ok()?;
        Some(Error::new(ErrorKind::InvalidData, error.to_string()))
    }
}

/// A constraint of the tables refuses this data alone (SEMANTICS §1.4); everything else may go better
/// later.
pub(super) fn kind_of(error: &diesel::result::Error) -> ErrorKind {
    use diesel::result::{DatabaseErrorKind as Kind, Error::DatabaseError};

    match error {
        DatabaseError(
            Kind::UniqueViolation
            | Kind::ForeignKeyViolation
            | Kind::NotNullViolation
            | Kind::CheckViolation
            | Kind::RestrictViolation
            | Kind::ExclusionViolation,
            _,
        ) => ErrorKind::InvalidData,
        _ => ErrorKind::Store,
    }
}

/// What is left to do after the straight way: the writes that it did not fit, children, and paused
/// queues.
async fn settle_rest<D: Database>(
    s: &mut ServerSession<D>,
    writes: &[StepWrite],
    straight: &[Straight],
) -> Outcome<Vec<Option<Written>>> {
    use sql::commit::{goes_on, release_if_paused, settle, stores_children};

    let mut written = Vec::with_capacity(writes.len());
    for (write, straight) in writes.iter().zip(straight) {
        let done = match straight {
            Straight::Written | Straight::Paused => Some(Written::Committed),
            Straight::Not => settle(s, write).await?,
        };
        let may_be_paused = *straight != Straight::Written && goes_on(write);
        written.push(match done {
            Some(Written::Committed) if may_be_paused => Some(release_if_paused(s, write).await?),
            done => done,
        });
    }
    let stored = |written: &Option<Written>| {
        matches!(
            written,
            Some(Written::Committed | Written::Released | Written::Stopped)
        )
    };
    let children: Vec<&NewProgram> = writes
        .iter()
        .zip(&written)
        .filter(|(write, written)| stored(written) && stores_children(write))
        .flat_map(|(write, _)| &write.children)
        .collect();
    if !children.is_empty() {
        // A child whose unique key is taken is that other program: nothing to add.
        D::insert(s, &children, true).await?;
    }
    Ok(written)
}

/// What a test leaves behind in a database, cleared away when it is dropped.
#[cfg(test)]
pub(super) struct Cleared<D: Database>(Arc<Inner<D>>, String);

#[cfg(test)]
impl<D: Database> Cleared<D> {
    pub(super) fn by(store: &ServerStore<D>, script: String) -> Self {
        Self(Arc::clone(&store.0), script)
    }
}

#[cfg(test)]
impl<D: Database> Drop for Cleared<D> {
    fn drop(&mut self) {
        use diesel_async::SimpleAsyncConnection;

        let (store, script) = (Arc::clone(&self.0), self.1.clone());
        // A runtime of its own: that of the test is about to end.
        let clearing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let conn = store.database.connect(Purpose::Engine).await;
                let mut conn = conn.expect("a connection");
                // Another test's migration may hold up this one; then the schema stays.
                let _ = conn.batch_execute(&script).await;
            });
        });
        let _ = clearing.join();
    }
}
