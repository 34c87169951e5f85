//! A store on a database server: what PostgreSQL and MySQL share.
//!
//! A verb is one transaction on a connection of its own, with a deadline. A connection whose
//! transaction has not come to its end is closed, never used again: so a caller that goes away, a
//! deadline that passes and a server that does not answer leave nothing half done.
//!
//! Claims, commits and everything else have their own lanes of connections, so that none waits for
//! another.

#[cfg(test)]
mod cleared;
mod commit;
mod create;
mod database;
mod ear;
mod looked;
mod pool;
mod schedules;
mod session;
mod tx;
mod verbs;

use std::{any::Any, sync::Arc, time::Duration};

#[cfg(test)]
pub(super) use self::cleared::Cleared;
pub(super) use self::verbs::verb;
pub(super) use self::{
    database::{Database, Straight, Whose, kind_of},
    ear::Bell,
    pool::Purpose,
    session::{Begin, ServerSession},
};
use self::{
    looked::Looked,
    pool::Lane,
    verbs::{change, change_and_ring, look},
};
#[cfg(feature = "rabbitmq")]
use super::{Adopted, Offer, Orphans, Taken};
use super::{
    Afterwards, Batch, Bulk, ClaimRequest, Claimed, Created, Ended, Fence, Filter, Held, Hold,
    LimitedRequest, Listener, NewProgram, ProgramInfo, ProgramState, Pulse, Settled, Stats,
    StepWrite, Store, StoreFuture, Target, Waits, WorkerId, WorkerInfo, WorkerRecord, Written,
    foreign_connection,
    sql::{self, control, query, report, statement::Texts},
};
use crate::{error::Result, job::TxConn, run_id::RunId, time::Timestamp};

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

#[cfg(test)]
impl<D: Database> ServerStore<D> {
    pub(super) fn texts(&self) -> &Texts {
        &self.0.texts
    }

    pub(super) fn inner(&self) -> &Inner<D> {
        &self.0
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
        Box::pin(async move { create::create(&self.0, &programs).await })
    }

    fn create_quietly(&self, programs: Vec<NewProgram>) -> StoreFuture<'_, Vec<Result<Created>>> {
        Box::pin(async move { create::create_quietly(&self.0, &programs).await })
    }

    fn ring(&self) {
        self.0.bell.ring(&self.0);
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
            let look = self.0.looks();
            let slots = self.0.looked().slots(&request);
            let floors = self.0.floors(&request.shares);
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

    fn claim_limited(&self, request: LimitedRequest) -> StoreFuture<'_, Claimed> {
        Box::pin(async move {
            verb!(self.0, claims, Engine, self.0.deadline, |s| {
                sql::limit::claim(s, &request)
            })
        })
    }

    fn release(&self, holds: Vec<Hold>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            verb!(self.0, others, Engine, self.0.deadline, |s| {
                sql::limit::release(s, &holds)
            })?;
            self.ring();
            Ok(())
        })
    }

    fn extend_holds(&self, worker: WorkerId, time: Duration) -> StoreFuture<'_, Vec<Held>> {
        Box::pin(async move {
            verb!(self.0, others, Engine, self.0.deadline, |s| {
                sql::limit::extend(s, worker, time)
            })
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

    fn settle(&self, waits: Waits) -> StoreFuture<'_, Settled> {
        Box::pin(async move {
            let looked = verb!(self.0, others, Look, self.0.deadline, |s| {
                sql::waits::look(s, &waits)
            })?;
            let mut settled = Settled {
                next: looked.next,
                ..Settled::default()
            };
            if !looked.over.is_empty() {
                settled.resumed = verb!(self.0, others, Engine, self.0.deadline, |s| {
                    sql::waits::settle(s, &looked.over)
                })?;
                self.0.will_be_due(Duration::ZERO);
                self.ring();
            }
            Ok(settled)
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

    fn shorten_leases(&self, grace: Duration) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            let far = verb!(self.0, others, Engine, PATIENCE, |s| {
                sql::leases::far_ahead(s)
            })?;
            let shortened = verb!(self.0, others, Engine, PATIENCE, |s| {
                sql::leases::shorten(s, &far, grace)
            })?;
            if shortened > 0 {
                // Workers are to learn when these end.
                self.0.will_be_due(Duration::ZERO);
                self.ring();
            }
            Ok(shortened)
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

    fn complete(
        &self,
        target: Target,
        output: Option<String>,
        then: Afterwards,
    ) -> StoreFuture<'_, bool> {
        change_and_ring!(self, |s| report::complete(
            s,
            &target,
            output.as_deref(),
            then
        ))
    }

    fn fail(&self, target: Target, message: String, then: Afterwards) -> StoreFuture<'_, bool> {
        change_and_ring!(self, |s| report::fail(s, &target, &message, then))
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

    fn queue_of_ended(
        &self,
        state: ProgramState,
        after: String,
    ) -> StoreFuture<'_, Option<String>> {
        look!(self, |s| D::queue_of_ended(s, state, &after))
    }

    fn prune(&self, ended: Ended, limit: usize) -> StoreFuture<'_, usize> {
        change!(self, |s| async {
            let old = D::prunable(s, &ended, limit).await?;
            sql::ended::delete(s, &old).await
        })
    }

    fn count_ended(&self, ended: Ended) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            let counted = verb!(self.0, others, Look, PATIENCE, |s| D::count_ended(
                s, &ended
            ))?;
            Ok(usize::try_from(counted).unwrap_or_default())
        })
    }

    fn bulk(&self, bulk: Arc<Bulk>, floor: i64, limit: usize) -> StoreFuture<'_, Batch> {
        Box::pin(async move {
            let sought = verb!(self.0, others, Look, PATIENCE, |s| sql::bulk::seek(
                s, &bulk, floor, limit
            ))?;
            let batch = verb!(self.0, others, Engine, PATIENCE, |s| sql::bulk::apply(
                s,
                &bulk,
                &sought.ids
            ))?;
            self.0.will_be_due(Duration::ZERO);
            self.ring();
            Ok(Batch {
                floor: sought.floor,
                ..batch
            })
        })
    }

    fn count(&self, bulk: Arc<Bulk>) -> StoreFuture<'_, usize> {
        look!(self, |s| sql::bulk::count(s, &bulk))
    }

    fn clear_unique(&self, limit: usize) -> StoreFuture<'_, usize> {
        change!(self, |s| sql::create::clear_unique(s, limit))
    }

    #[cfg(feature = "rabbitmq")]
    fn take_in(&self, offers: Vec<Offer>) -> StoreFuture<'_, Vec<Taken>> {
        Box::pin(async move {
            let taken = verb!(self.0, claims, Engine, self.0.deadline, |s| {
                sql::interop::take_in(s, &offers)
            })?;
            self.0.will_be_due(Duration::ZERO);
            Ok(taken)
        })
    }

    #[cfg(feature = "rabbitmq")]
    fn announced(&self, run_ids: Vec<RunId>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            verb!(self.0, others, Engine, self.0.deadline, |s| {
                sql::interop::announced(s, &run_ids)
            })
        })
    }

    #[cfg(feature = "rabbitmq")]
    fn adopt(&self, orphans: Orphans, floor: i64) -> StoreFuture<'_, Adopted> {
        change_and_ring!(self, |s| sql::interop::adopt(s, &orphans, floor))
    }
}
