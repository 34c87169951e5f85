//! Lanes of connections: each a small pool.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};

use super::Database;
use crate::{
    error::{Error, ErrorKind},
    store::sql::{Failure, Outcome},
};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Purpose {
    /// The engine's own transactions, which are over in a moment.
    Engine,
    /// Jobs' transactions, which take as long as the job does.
    Jobs,
}

/// A pool of connections for one purpose. It connects when it must, and no earlier.
pub(in crate::store) struct Lane<D: Database>(Pool<Connector<D>>);

impl<D: Database> Lane<D> {
    /// `patience`: how long a connection that was not used for a while may take for a sign of life.
    pub(super) fn new(database: Arc<D>, purpose: Purpose, size: usize, patience: Duration) -> Self {
        let pool = Pool::builder(Connector {
            database,
            purpose,
            patience,
            made: AtomicBool::new(false),
        })
        .max_size(size)
        .build();
        // Only a time-out without a runtime makes this fail, and none is set.
        #[allow(clippy::expect_used)]
        Self(pool.expect("a pool without time-outs"))
    }

    /// Closes what nobody uses: it may be as dead as the one that was found out.
    pub(super) fn clear(&self) {
        self.0.retain(|_, _| false);
    }

    /// A connection, which closes when it is dropped.
    pub(super) async fn take(&self) -> Outcome<Leased<D>> {
        match self.0.get().await {
            Ok(conn) => Ok(Leased(Some(conn))),
            Err(PoolError::Backend(error)) => Err(Failure::Ours(error)),
            Err(error) => {
                let message = format!("no connection to the database: {error:?}");
                Err(Failure::Ours(Error::new(ErrorKind::Store, message)))
            }
        }
    }
}

/// A connection out of its lane.
pub(in crate::store) struct Leased<D: Database>(Option<Object<Connector<D>>>);

impl<D: Database> Leased<D> {
    /// Whether no connection of its lane was there before it.
    pub(super) fn is_first(&self) -> bool {
        self.0.as_ref().is_none_or(|conn| conn.first)
    }

    /// How long it has been there.
    pub(super) fn age(&self) -> Duration {
        let created = |conn| Object::<Connector<D>>::metrics(conn).created;
        self.0
            .as_ref()
            .map(created)
            .map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Puts it back into its lane.
    pub(super) fn give_back(&mut self) {
        drop(self.0.take());
    }
}

impl<D: Database> Drop for Leased<D> {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            drop(Object::take(conn));
        }
    }
}

const GIVEN_BACK: &str =
    "a connection is used until it is given back, and giving it back is the end";

impl<D: Database> Deref for Leased<D> {
    type Target = D::Conn;

    #[allow(clippy::expect_used)]
    fn deref(&self) -> &D::Conn {
        &self.0.as_ref().expect(GIVEN_BACK).conn
    }
}

impl<D: Database> DerefMut for Leased<D> {
    #[allow(clippy::expect_used)]
    fn deref_mut(&mut self) -> &mut D::Conn {
        &mut self.0.as_mut().expect(GIVEN_BACK).conn
    }
}

/// Makes the connections of a lane.
pub(in crate::store) struct Connector<D> {
    database: Arc<D>,
    purpose: Purpose,
    patience: Duration,
    made: AtomicBool,
}

/// A connection of a lane.
pub(in crate::store) struct Connection<C> {
    conn: C,
    first: bool,
}

impl<D: Database> managed::Manager for Connector<D> {
    type Type = Connection<D::Conn>;
    type Error = Error;

    async fn create(&self) -> Result<Self::Type, Error> {
        // Seldom, and large.
        let conn = Box::pin(self.database.connect(self.purpose)).await?;
        let first = !self.made.swap(true, Ordering::Relaxed);
        Ok(Connection { conn, first })
    }

    async fn recycle(&self, conn: &mut Self::Type, metrics: &Metrics) -> RecycleResult<Error> {
        // One that is in use all the time needs no asking.
        if metrics.last_used() < Duration::from_millis(500) {
            return Ok(());
        }
        // One whose other end has gone without a word is not waited for.
        match tokio::time::timeout(self.patience, D::ping(&mut conn.conn)).await {
            Ok(alive) => alive.map_err(|error| RecycleError::Backend(error.into())),
            Err(_) => Err(RecycleError::message("it gives no sign of life")),
        }
    }
}
