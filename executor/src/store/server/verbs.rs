//! How a verb runs: in a transaction of its own, with a deadline, and again where the database asks for it.

use std::{sync::Arc, time::Duration};

use super::{Begin, Database, Inner, ServerSession, pool::Lane};
use crate::{
    error::{Error, ErrorKind, Result},
    store::sql::{self, Outcome},
};

impl<D: Database> Inner<D> {
    /// A session on a connection of this lane; its transaction begins with its first statement.
    pub(in crate::store) async fn session(
        &self,
        lane: &Lane<D>,
        begin: Begin,
    ) -> Outcome<ServerSession<D>> {
        let conn = lane.take().await?;
        Ok(ServerSession::new(
            conn,
            Arc::clone(&self.texts),
            self.database.begin(begin),
        ))
    }

    /// Whether a transaction that has failed is to be begun once more; it has waited for a moment then.
    pub(in crate::store) async fn goes_again(
        &self,
        failure: &sql::Failure,
        tried: &mut u32,
    ) -> bool {
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
    pub(in crate::store) async fn within<T>(
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
pub(in crate::store) use verb;

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
pub(super) use {change, change_and_ring, look};
