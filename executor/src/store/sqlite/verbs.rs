//! How a verb runs: whole, in one transaction on one of the two connections.

use std::{path::Path, sync::Arc};

use diesel::Connection;

use super::{
    SqliteStore, Wrapped, connection,
    session::{SqliteSession, at_once},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        Store,
        sql::{Failure, Outcome},
    },
};

impl SqliteStore {
    /// Runs a verb in a transaction that writes.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        verb: impl AsyncFnOnce(&mut SqliteSession<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let texts = Arc::clone(&self.texts);
        let path = self.path.clone();
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let done = to_its_end(async move {
            let writer = connected(&path, &mut writer).await?;
            let done = writer.spawn_blocking(move |conn| {
                Ok(conn.immediate_transaction(|conn| {
                    let mut session = SqliteSession::new(conn, &texts)?;
                    at_once(verb(&mut session))
                }))
            });
            done.await.map_err(Failure::from).and_then(|done| done)
        });
        done.await.map_err(|e| self.explain(e))
    }

    /// Runs a verb that only reads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        verb: impl AsyncFnOnce(&mut SqliteSession<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let texts = Arc::clone(&self.texts);
        let mut reader = Arc::clone(&self.reader).lock_owned().await;
        let done = to_its_end(async move {
            let done = reader.spawn_blocking(move |conn| {
                Ok(conn.transaction(|conn| {
                    let mut session = SqliteSession::new(conn, &texts)?;
                    at_once(verb(&mut session))
                }))
            });
            done.await.map_err(Failure::from).and_then(|done| done)
        });
        done.await.map_err(|e| self.explain(e))
    }

    pub(super) fn explain(&self, failure: Failure) -> Error {
        match failure {
            Failure::Ours(error) => error,
            Failure::Sql(error) => connection::explain(&self.path, error),
        }
    }

    pub(super) async fn write_and_ring<T: Send + 'static>(
        &self,
        verb: impl AsyncFnOnce(&mut SqliteSession<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let done = self.write(verb).await?;
        self.ring();
        Ok(done)
    }
}

/// The connection that writes.
pub(super) async fn connected<'c>(
    path: &Path,
    writer: &'c mut Option<Wrapped>,
) -> Outcome<&'c mut Wrapped> {
    Ok(match writer {
        Some(writer) => writer,
        None => {
            let connected = connection::connect(path).await.map_err(Failure::Ours)?;
            writer.insert(connected)
        }
    })
}

/// Runs work on a connection in a task of its own. Who waits for it may go away: dropped half way, the
/// future of a connection would block its thread until the end, which a runtime of one thread does not
/// allow.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Outcome<T>> + Send + 'static,
) -> Outcome<T> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Failure::Ours(Error::new(
                ErrorKind::Store,
                "the runtime has ended before the database's work",
            ))),
        },
    }
}
