//! A job's own writes, in one transaction with the completion of its step.

use std::{
    any::Any,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Attempt, JobError};
use crate::error::BoxError;

/// The store's connection, in a transaction that ends with the step: what the job writes with it and
/// the step's completion are committed together, or neither is.
///
/// `C` is the connection of the store: [`Pg`](crate::Pg), `MySql` or [`Sqlite`](crate::Sqlite),
/// diesel-async's connections under another name. The transaction begins with the first call of
/// [`conn`](Tx::conn). When the job returns an error, panics, is cancelled or loses its lease, nothing
/// of it stays.
///
/// In such a job [`Saved`](crate::Saved) progress and job data go through the transaction too: they
/// are durable with the step, and not before.
///
/// Keep it short: the rows that the job has written are locked until the step is recorded. On SQLite
/// all other writers wait meanwhile, and past a third of the lease the job is cancelled and tried again.
///
/// ```
/// use diesel_async::RunQueryDsl;
/// use executor::prelude::*;
///
/// /// Moves money: exactly once, whatever dies at whatever moment.
/// #[job]
/// async fn transfer(from: i32, to: i32, amount: i64, mut tx: Tx<executor::Sqlite>) -> Result<(), JobError> {
///     let conn = tx.conn().await?;
///     for (account, change) in [(from, -amount), (to, amount)] {
///         diesel::sql_query("UPDATE accounts SET balance = balance + ? WHERE id = ?")
///             .bind::<diesel::sql_types::BigInt, _>(change)
///             .bind::<diesel::sql_types::Integer, _>(account)
///             .execute(conn)
///             .await?;
///     }
///     Ok(())
/// }
/// ```
pub struct Tx<C> {
    from: From<C>,
}

enum From<C> {
    /// A worker's.
    Worker {
        slot: Arc<TxSlot>,
        conn: Option<Box<dyn TxConn>>,
    },
    /// A test's.
    Test(Box<C>),
}

impl<C: TxConnection> Tx<C> {
    /// For calling a job's function in a test: the test begins and ends the transaction.
    pub fn new(conn: C) -> Self {
        Self {
            from: From::Test(Box::new(conn)),
        }
    }

    /// The connection; the first call begins the transaction.
    ///
    /// # Errors
    /// The store gave no connection: a retryable error.
    pub async fn conn(&mut self) -> Result<&mut C, JobError> {
        match &mut self.from {
            From::Test(conn) => Ok(conn),
            From::Worker { slot, conn } => {
                if conn.is_none() {
                    *conn = Some(slot.begin().await?);
                }
                let conn = conn.as_mut().and_then(|conn| conn.conn().downcast_mut());
                // A worker on another store does not start.
                conn.ok_or_else(|| {
                    JobError::fatal(format!(
                        "this job needs a connection to {}, and its store is another one",
                        C::STORE
                    ))
                })
            }
        }
    }
}

impl<C> Drop for Tx<C> {
    fn drop(&mut self) {
        if let From::Worker { slot, conn } = &mut self.from
            && let Some(conn) = conn.take()
        {
            slot.state().conn = Some(conn);
        }
    }
}

impl<C> std::fmt::Debug for Tx<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}

/// A connection of a store, in an open transaction. Dropped, it leaves nothing of it.
pub(crate) trait TxConn: Send {
    /// What the job works with.
    fn conn(&mut self) -> &mut (dyn Any + Send);

    /// For the store, which ends it.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

pub(crate) type Begun<'a> =
    Pin<Box<dyn Future<Output = crate::Result<Box<dyn TxConn>>> + Send + 'a>>;

/// Where a job's transaction comes from.
pub(crate) trait TxSource: Send + Sync {
    fn begin(&self) -> Begun<'_>;
}

/// What a job and its worker share of a transaction: the connection comes back here when the body
/// has ended, however it has.
pub(crate) struct TxSlot {
    source: Arc<dyn TxSource>,
    state: Mutex<TxState>,
    begun: Notify,
}

#[derive(Default)]
struct TxState {
    conn: Option<Box<dyn TxConn>>,
    began: bool,
}

impl TxSlot {
    pub(crate) fn new(source: Arc<dyn TxSource>) -> Self {
        Self {
            source,
            state: Mutex::default(),
            begun: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, TxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self) -> Result<Box<dyn TxConn>, JobError> {
        if self.state().began {
            // The compiler lets nobody have two: the first one was dropped, and its writes with it.
            return Err(JobError::fatal(
                "the job has dropped its `Tx` before: take the connection from one and the same",
            ));
        }
        let conn = self.source.begin().await;
        let conn = conn.map_err(|e| JobError::retry(BoxError::from(e.to_string())))?;
        self.state().began = true;
        self.begun.notify_one();
        Ok(conn)
    }

    /// Waits until the transaction has begun.
    pub(crate) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// The open transaction of a body that has ended.
    pub(crate) fn take(&self) -> Option<Box<dyn TxConn>> {
        self.state().conn.take()
    }
}

/// The connection of one of the stores.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the connection of a store",
    label = "write `Tx<Pg>`, `Tx<MySql>` or `Tx<Sqlite>`",
    note = "`executor::Pg`, `executor::MySql` and `executor::Sqlite` are there with the feature of their store"
)]
pub trait TxConnection: sealed::Sealed + Send + 'static {
    /// The store whose connection it is.
    #[doc(hidden)]
    const STORE: &'static str;
}

pub(crate) mod sealed {
    /// Nobody else can be a connection of a store.
    pub trait Sealed {}
}

/// A job's transaction.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not executor's `Tx<C>` of a store's connection",
    label = "a parameter type of this name must be executor's own: `Tx<Pg>`, `Tx<MySql>` or `Tx<Sqlite>`",
    note = "`executor::Pg`, `executor::MySql` and `executor::Sqlite` are there with the feature of their store"
)]
pub trait TxParam: Sized {
    /// That a job writes in it.
    const NEED: TxNeed;

    /// Makes it.
    ///
    /// # Errors
    /// None today.
    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError>;
}

impl<C: TxConnection> TxParam for Tx<C> {
    const NEED: TxNeed = TxNeed { store: C::STORE };

    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        let slot = attempt.parts().tx.clone();
        // A job that is run for a test gets its `Tx` from the test.
        let slot = slot.ok_or_else(|| JobError::fatal("there is no transaction here"))?;
        Ok(Self {
            from: From::Worker { slot, conn: None },
        })
    }
}

/// That a job writes in a transaction of its store.
pub struct TxNeed {
    pub(crate) store: &'static str,
}
