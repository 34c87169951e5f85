//! The embedded store: a SQLite file in WAL mode, `synchronous = FULL`.
//!
//! Each store has one connection that writes (SQLite lets one write at a time) and one that reads. A verb is one `BEGIN IMMEDIATE … COMMIT` in one call to the blocking pool: a caller that
//! goes away does not stop it half way. The engine's times are columns of milliseconds; the times
//! that program-executor has are text in UTC, as `CURRENT_TIMESTAMP` makes it.

mod claim;
mod commit;
mod connection;
mod create;
mod ear;
mod promote;
mod prune;
mod schedules;
mod schema;
mod session;
mod text;
mod tx;
mod verbs;
mod workers;

use std::{any::Any, path::PathBuf, sync::Arc, time::Duration};

use diesel::SqliteConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use tokio::sync::{Mutex, watch};

use self::session::{DIALECT, SqliteSession, at_once};
#[cfg(feature = "rabbitmq")]
use super::{Adopted, Offer, Orphans, Taken};
use super::{
    Afterwards, Batch, Bulk, ClaimRequest, Claimed, Created, Ended, Fence, Filter, Held, Hold,
    LimitedRequest, Listener, NewProgram, ProgramInfo, ProgramState, Pulse, Settled, Stats,
    StepWrite, Store, StoreFuture, Target, Waits, WorkerId, WorkerInfo, WorkerRecord, Written,
    foreign_connection,
    sql::{self, Failure, control, query, report, statement::Texts},
};
use crate::{
    config::Config,
    error::{Error, ErrorKind, Result},
    job::{TxConn, TxConnection},
    run_id::RunId,
    time::Timestamp,
};

/// SQLite's connection, for a job's [`Tx`](crate::Tx).
pub type Sqlite = SyncConnectionWrapper<SqliteConnection>;

impl crate::job::sealed::Sealed for Sqlite {}

impl TxConnection for Sqlite {
    const STORE: &'static str = "SQLite";
}

type Wrapped = Sqlite;

pub(super) struct SqliteStore {
    path: PathBuf,
    texts: Arc<Texts>,
    /// `None` after a transaction that was left open: then it connects anew.
    writer: Arc<Mutex<Option<Wrapped>>>,
    reader: Arc<Mutex<Wrapped>>,
    /// Raised when something may have become due.
    changes: watch::Sender<u64>,
    locks: workers::Locks,
}

impl SqliteStore {
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let path = PathBuf::from(config.database_url.sqlite_path());
        if let Some(folder) = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty() && !p.is_dir())
        {
            return Err(Error::new(
                ErrorKind::Store,
                format!(
                    "the folder {} of the database file does not exist",
                    folder.display()
                ),
            ));
        }
        let texts = Arc::new(
            Texts::new(&DIALECT, None, &config.table).with_interop(config.interop.is_some()),
        );
        Ok(Self {
            writer: Arc::new(Mutex::new(Some(connection::connect(&path).await?))),
            reader: Arc::new(Mutex::new(connection::connect(&path).await?)),
            changes: watch::Sender::new(0),
            locks: workers::Locks::beside(&path),
            path,
            texts,
        })
    }
}

impl Store for SqliteStore {
    fn migrate(&self) -> StoreFuture<'_, Vec<String>> {
        Box::pin(async move {
            // Looking first lets a read-only copy be listed.
            if self.pending_migrations().await?.is_empty() {
                return Ok(Vec::new());
            }
            self.write(async |s| sql::schema::migrate(s, &schema::SCHEMA).await)
                .await
        })
    }

    fn pending_migrations(&self) -> StoreFuture<'_, Vec<String>> {
        Box::pin(self.read(async |s| sql::schema::pending(s, &schema::SCHEMA).await))
    }

    fn create(&self, programs: Vec<NewProgram>) -> StoreFuture<'_, Vec<Result<Created>>> {
        Box::pin(async move {
            let created = self
                .write(async move |s| create::create(s, &programs))
                .await?;
            self.ring();
            Ok(created)
        })
    }

    fn create_quietly(&self, programs: Vec<NewProgram>) -> StoreFuture<'_, Vec<Result<Created>>> {
        Box::pin(self.write(async move |s| create::create(s, &programs)))
    }

    fn ring(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn create_in<'a>(
        &'a self,
        conn: &'a mut (dyn Any + Send),
        programs: Vec<NewProgram>,
    ) -> StoreFuture<'a, Vec<Result<Created>>> {
        Box::pin(async move {
            let conn = conn.downcast_mut::<Sqlite>();
            let conn = conn.ok_or_else(|| foreign_connection(Sqlite::STORE))?;
            let texts = Arc::clone(&self.texts);
            let created = conn.spawn_blocking(move |conn| {
                let created = SqliteSession::new(conn, &texts);
                Ok(created.and_then(|mut s| create::create(&mut s, &programs)))
            });
            let created = created.await.map_err(Failure::from);
            created.and_then(|done| done).map_err(|e| self.explain(e))
        })
    }

    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, Claimed> {
        let locks = self.locks.clone();
        Box::pin(async move {
            let claimed = self
                .write(async move |s| claim::claim(s, &request, &locks))
                .await?;
            self.locks.sweep();
            Ok(claimed)
        })
    }

    fn claim_limited(&self, request: LimitedRequest) -> StoreFuture<'_, Claimed> {
        Box::pin(self.write(async move |s| sql::limit::claim(s, &request).await))
    }

    fn release(&self, holds: Vec<Hold>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.write(async move |s| sql::limit::release(s, &holds).await)
                .await?;
            self.ring();
            Ok(())
        })
    }

    fn extend_holds(&self, worker: WorkerId, time: Duration) -> StoreFuture<'_, Vec<Held>> {
        Box::pin(self.write(async move |s| sql::limit::extend(s, worker, time).await))
    }

    fn commit(&self, writes: Arc<Vec<StepWrite>>) -> StoreFuture<'_, Vec<Option<Written>>> {
        let rings = writes.iter().any(sql::commit::makes_due);
        Box::pin(async move {
            let written = self
                .write(async move |s| commit::commit(s, &writes).await)
                .await?;
            if rings {
                self.ring();
            }
            Ok(written)
        })
    }

    /// A look that finds nothing holds up no writer.
    fn settle(&self, waits: Waits) -> StoreFuture<'_, Settled> {
        Box::pin(async move {
            let looked = self.read(async move |s| sql::waits::look(s, &waits).await);
            let looked = looked.await?;
            let mut settled = Settled {
                next: looked.next,
                ..Settled::default()
            };
            if !looked.over.is_empty() {
                let settle =
                    self.write_and_ring(async move |s| sql::waits::settle(s, &looked.over).await);
                settled.resumed = settle.await?;
            }
            Ok(settled)
        })
    }

    fn name(&self) -> &'static str {
        Sqlite::STORE
    }

    fn begin(&self) -> StoreFuture<'_, Box<dyn TxConn>> {
        Box::pin(tx::begin(self))
    }

    /// All other writers wait for its end.
    fn tx_limit(&self, lease: Duration) -> Option<Duration> {
        Some(lease / 3)
    }

    fn commit_in(&self, tx: Box<dyn TxConn>, writes: Vec<StepWrite>) -> StoreFuture<'_, Written> {
        Box::pin(async move {
            let rings = writes.iter().any(sql::commit::makes_due);
            let written = tx::commit(self, tx, writes).await?;
            if rings {
                self.ring();
            }
            Ok(written)
        })
    }

    fn was_written(&self, fence: Fence) -> StoreFuture<'_, Option<Written>> {
        Box::pin(self.write(async move |s| sql::commit::was_written(s, fence).await))
    }

    fn heartbeat(
        &self,
        worker: WorkerId,
        lease: Duration,
        held: Vec<Held>,
    ) -> StoreFuture<'_, Vec<Pulse>> {
        Box::pin(self.write(async move |s| workers::heartbeat(s, worker, lease, &held).await))
    }

    /// The way to the programs holds up no writer.
    fn shorten_leases(&self, grace: Duration) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            let far = self.read(async |s| sql::leases::far_ahead(s).await).await?;
            let shorten =
                async move |s: &mut SqliteSession<'_>| sql::leases::shorten(s, &far, grace).await;
            let shortened = self.write(shorten).await?;
            if shortened > 0 {
                self.ring();
            }
            Ok(shortened)
        })
    }

    fn register(&self, worker: WorkerRecord) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.locks.take(worker.id)?;
            let locks = self.locks.clone();
            self.write(async move |s| workers::register(s, &worker, &locks).await)
                .await?;
            self.locks.sweep();
            Ok(())
        })
    }

    fn deregister(&self, worker: WorkerId) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.write(async move |s| sql::workers::deregister(s, worker).await)
                .await?;
            self.locks.give_back(worker);
            Ok(())
        })
    }

    fn workers(&self) -> StoreFuture<'_, Vec<WorkerInfo>> {
        let locks = self.locks.clone();
        Box::pin(self.read(async move |s| workers::live(s, &locks).await))
    }

    fn listener(&self) -> Box<dyn Listener + '_> {
        Box::new(ear::Ear::at(self))
    }

    fn get(&self, run_id: RunId) -> StoreFuture<'_, Option<ProgramInfo>> {
        Box::pin(self.read(async move |s| query::get(s, &run_id).await))
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Vec<ProgramInfo>> {
        Box::pin(self.read(async move |s| query::list(s, &filter).await))
    }

    fn children(&self, parent: RunId) -> StoreFuture<'_, Vec<RunId>> {
        Box::pin(self.read(async move |s| query::children(s, &parent).await))
    }

    fn stats(&self) -> StoreFuture<'_, Stats> {
        Box::pin(self.read(async |s| query::stats(s).await))
    }

    fn cancel(&self, run_id: RunId, message: String) -> StoreFuture<'_, bool> {
        Box::pin(self.write(async move |s| control::cancel(s, &run_id, &message).await))
    }

    fn retry(&self, run_id: RunId) -> StoreFuture<'_, bool> {
        Box::pin(self.write_and_ring(async move |s| control::retry(s, &run_id).await))
    }

    fn delete(&self, run_id: RunId) -> StoreFuture<'_, bool> {
        Box::pin(self.write(async move |s| control::delete(s, &run_id).await))
    }

    fn complete(
        &self,
        target: Target,
        output: Option<String>,
        then: Afterwards,
    ) -> StoreFuture<'_, bool> {
        Box::pin(self.write_and_ring(async move |s| {
            report::complete(s, &target, output.as_deref(), then).await
        }))
    }

    fn fail(&self, target: Target, message: String, then: Afterwards) -> StoreFuture<'_, bool> {
        Box::pin(self.write_and_ring(async move |s| report::fail(s, &target, &message, then).await))
    }

    fn hand_off(&self, run_id: RunId) -> StoreFuture<'_, bool> {
        Box::pin(self.write(async move |s| report::hand_off(s, &run_id).await))
    }

    fn reschedule(&self, run_id: RunId, at: Timestamp) -> StoreFuture<'_, bool> {
        Box::pin(self.write_and_ring(async move |s| control::reschedule(s, &run_id, at).await))
    }

    fn set_attributes(&self, run_id: RunId, fields: String) -> StoreFuture<'_, bool> {
        Box::pin(self.write(async move |s| control::set_attributes(s, &run_id, &fields).await))
    }

    fn set_retry_after(&self, run_id: RunId, delay: Option<Duration>) -> StoreFuture<'_, bool> {
        Box::pin(
            self.write_and_ring(async move |s| control::set_retry_after(s, &run_id, delay).await),
        )
    }

    fn set_paused(&self, queue: String, paused: bool) -> StoreFuture<'_, bool> {
        Box::pin(self.write_and_ring(async move |s| control::set_paused(s, &queue, paused).await))
    }

    fn queue_of_ended(
        &self,
        state: ProgramState,
        after: String,
    ) -> StoreFuture<'_, Option<String>> {
        Box::pin(self.read(async move |s| prune::queue(s, state, &after)))
    }

    fn prune(&self, ended: Ended, limit: usize) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            let ids = self.read(async move |s| prune::prunable(s, &ended, limit));
            let ids = ids.await?;
            if ids.is_empty() {
                return Ok(0);
            }
            self.write(async move |s| sql::ended::delete(s, &ids).await)
                .await
        })
    }

    fn count_ended(&self, ended: Ended) -> StoreFuture<'_, usize> {
        Box::pin(self.read(async move |s| Ok(prune::prunable(s, &ended, usize::MAX)?.len())))
    }

    /// The way to the programs holds up no writer.
    fn bulk(&self, bulk: Arc<Bulk>, floor: i64, limit: usize) -> StoreFuture<'_, Batch> {
        Box::pin(async move {
            let verb = Arc::clone(&bulk);
            let sought = self
                .read(async move |s| sql::bulk::seek(s, &verb, floor, limit).await)
                .await?;
            let floor = sought.floor;
            let batch =
                self.write_and_ring(async move |s| sql::bulk::apply(s, &bulk, &sought.ids).await);
            Ok(Batch {
                floor,
                ..batch.await?
            })
        })
    }

    fn count(&self, bulk: Arc<Bulk>) -> StoreFuture<'_, usize> {
        Box::pin(self.read(async move |s| sql::bulk::count(s, &bulk).await))
    }

    fn clear_unique(&self, limit: usize) -> StoreFuture<'_, usize> {
        Box::pin(self.write(async move |s| sql::create::clear_unique(s, limit).await))
    }

    #[cfg(feature = "rabbitmq")]
    fn take_in(&self, offers: Vec<Offer>) -> StoreFuture<'_, Vec<Taken>> {
        Box::pin(self.write(async move |s| sql::interop::take_in(s, &offers).await))
    }

    #[cfg(feature = "rabbitmq")]
    fn announced(&self, run_ids: Vec<RunId>) -> StoreFuture<'_, ()> {
        Box::pin(self.write(async move |s| sql::interop::announced(s, &run_ids).await))
    }

    #[cfg(feature = "rabbitmq")]
    fn adopt(&self, orphans: Orphans, floor: i64) -> StoreFuture<'_, Adopted> {
        Box::pin(self.write_and_ring(async move |s| sql::interop::adopt(s, &orphans, floor).await))
    }
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::{BigInt, Text};

    use super::*;
    use crate::store::suite;

    /// A store in a folder of its own, which goes with the first of the two.
    async fn open() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("suite.db").display());
        let config = Config {
            database_url: url.parse().expect("a URL"),
            ..Config::default()
        };
        let store = SqliteStore::open(&config).await.expect("opened");
        (folder, store)
    }

    async fn fresh() -> Option<(tempfile::TempDir, Arc<dyn Store>)> {
        let (folder, store) = open().await;
        Some((folder, Arc::new(store)))
    }

    suite::exercise!(fresh);

    /// What a claim does must not depend on history, nor on what is scheduled: each of its
    /// statements seeks.
    #[tokio::test]
    async fn claims_and_commits_scan_nothing() {
        let (_folder, store) = open().await;
        store.migrate().await.expect("tables");
        let plans = store.read(async |s| {
            let mut plans = Vec::new();
            for text in claim::HOT
                .iter()
                .chain(promote::HOT)
                .chain(workers::HOT)
                .chain(&prune::HOT)
                .copied()
                .chain([sql::leases::far(7).template()])
            {
                let explain = format!("EXPLAIN QUERY PLAN {}", text.replace('?', "NULL"));
                let explain = sql::statement::composed(explain);
                let rows =
                    s.rows::<(BigInt, BigInt, BigInt, Text), (i64, i64, i64, String)>(explain)?;
                plans.extend(rows.into_iter().map(|row| row.3));
            }
            Ok(plans)
        });
        let plans = plans.await.expect("explained");
        assert!(plans.len() > 8, "{plans:#?}");
        let scans = plans.iter().filter(|plan| plan.starts_with("SCAN"));
        // These hold a row for each worker or paused queue, or what the statement itself has made.
        let small = [
            "programs_workers",
            "programs_queues",
            "present",
            "json_each",
            "CONSTANT ROW",
            "subquery",
        ];
        let scans: Vec<_> = scans
            .filter(|plan| !small.iter().any(|s| plan.contains(s)))
            .collect();
        assert!(scans.is_empty(), "{scans:#?}");
    }
}
