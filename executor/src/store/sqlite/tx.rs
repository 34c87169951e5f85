//! Transactions of jobs: their own writes and the completion of their step are one commit.
//!
//! The job gets the connection that writes, and all other writers wait till it gives it back.

use std::{any::Any, sync::Arc};

use diesel::{
    SqliteConnection,
    connection::{AnsiTransactionManager, TransactionManager},
};
use tokio::sync::OwnedMutexGuard;

use super::{SqliteSession, SqliteStore, Wrapped, at_once, create::insert_children};
use crate::{
    error::{Error, ErrorKind, Result},
    job::TxConn,
    store::{
        StepWrite, Written,
        sql::{
            Failure, Outcome,
            commit::{one_by_one, stores_children},
            conflict,
        },
    },
};

/// The connection that writes, in an open transaction. Dropped, it is closed: what a body that was
/// ended half way has left behind goes with it.
struct SqliteTx {
    writer: OwnedMutexGuard<Option<Wrapped>>,
    ended: bool,
}

impl Drop for SqliteTx {
    fn drop(&mut self) {
        if !self.ended {
            *self.writer = None;
        }
    }
}

impl TxConn for SqliteTx {
    fn conn(&mut self) -> &mut (dyn Any + Send) {
        // It is there until the transaction is dropped.
        match &mut *self.writer {
            Some(writer) => writer,
            None => &mut self.ended,
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

pub(super) async fn begin(store: &SqliteStore) -> Result<Box<dyn TxConn>> {
    let mut writer = Arc::clone(&store.writer).lock_owned().await;
    let connected = super::verbs::connected(&store.path, &mut writer).await;
    let connected = connected.map_err(|e| store.explain(e))?;
    let begun = connected.spawn_blocking(|conn| {
        // Diesel counts its transactions: one of the job's own is then within this one.
        AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
    });
    begun.await.map_err(|e| store.explain(e.into()))?;
    Ok(Box::new(SqliteTx {
        writer,
        ended: false,
    }))
}

pub(super) async fn commit(
    store: &SqliteStore,
    tx: Box<dyn TxConn>,
    writes: Vec<StepWrite>,
) -> Result<Written> {
    let tx = tx.into_any().downcast::<SqliteTx>();
    let mut tx =
        tx.map_err(|_| Error::new(ErrorKind::Store, "the transaction is another store's"))?;
    let texts = Arc::clone(&store.texts);
    let writer = super::verbs::connected(&store.path, &mut tx.writer).await;
    let writer = writer.map_err(|e| store.explain(e))?;
    let done = writer.spawn_blocking(move |conn| Ok(complete(conn, &texts, &writes)));
    let written = done
        .await
        .map_err(Failure::from)
        .and_then(|done| done)
        .map_err(|e| store.explain(e))?;
    tx.ended = written != Written::LeaseLost;
    Ok(written)
}

fn complete(
    conn: &mut SqliteConnection,
    texts: &crate::store::sql::statement::Texts,
    writes: &[StepWrite],
) -> Outcome<Written> {
    let status = AnsiTransactionManager::transaction_manager_status_mut(conn);
    if !matches!(status.transaction_depth(), Ok(Some(depth)) if depth.get() == 1) {
        return Err(conflict(
            "the job has begun a transaction within its own and not ended it, or has ended its own",
        ));
    }
    let mut session = SqliteSession::new(conn, texts)?;
    let written = at_once(one_by_one(&mut session, writes))?;
    if written == Written::LeaseLost {
        return Ok(written);
    }
    for write in writes.iter().filter(|write| stores_children(write)) {
        insert_children(&mut session, &write.children)?;
    }
    AnsiTransactionManager::commit_transaction(conn)?;
    Ok(written)
}
