//! Transactions of jobs: their own writes and the completion of their step are one commit.

use std::any::Any;

use diesel_async::{AsyncConnection, TransactionManager};

use super::{Begin, Database, Inner, ServerSession, create};
use crate::{
    error::{Error, ErrorKind, Result},
    job::TxConn,
    store::{
        NewProgram, StepWrite, Written,
        sql::{
            Failure, Outcome,
            commit::{one_by_one, stores_children},
            conflict,
        },
    },
};

/// Transactions of jobs at once in one worker; further jobs wait for their turn.
pub(super) const MOST: usize = 10;

type Manager<D> = <<D as Database>::Conn as AsyncConnection>::TransactionManager;

/// A connection with an open transaction. Dropped, it is closed.
struct ServerTx<D: Database>(ServerSession<D>);

impl<D: Database> TxConn for ServerTx<D> {
    fn conn(&mut self) -> &mut (dyn Any + Send) {
        self.0.conn()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

pub(super) async fn begin<D: Database>(store: &Inner<D>) -> Result<Box<dyn TxConn>> {
    // How long it may have to wait for its turn is up to the jobs before it.
    let session = store.session(&store.transactions, Begin::Alone).await;
    let session = store.within(store.deadline, async { session });
    let mut session = session.await?;
    let begun = async {
        // Diesel counts its transactions: one of the job's own is then within this one.
        Manager::<D>::begin_transaction(session.conn()).await?;
        Ok(session)
    };
    let session = store.within(store.deadline, begun).await?;
    Ok(Box::new(ServerTx(session)))
}

/// Completes the step in the job's transaction, and commits. The program's row is touched in the last
/// statements only, so that nobody waits for it while the job runs.
pub(super) async fn commit<D: Database>(
    store: &Inner<D>,
    tx: Box<dyn TxConn>,
    writes: &[StepWrite],
) -> Result<Written> {
    let tx = tx.into_any().downcast::<ServerTx<D>>();
    let mut session = tx.map_err(|_| foreign())?.0;
    let complete = async move {
        if depth::<D>(&mut session) != Some(1) {
            return Err(conflict(
                "the job has begun a transaction within its own and not ended it, or has ended its own",
            ));
        }
        session.goes_on_with(store.database.begin(Begin::Completion));
        let written = one_by_one(&mut session, writes).await?;
        if written == Written::LeaseLost {
            // The connection is closed, and the job's writes with it.
            return Ok(written);
        }
        insert_children(&mut session, writes).await?;
        Manager::<D>::commit_transaction(session.conn()).await?;
        session.give_back();
        Ok(written)
    };
    store.within(store.deadline, complete).await
}

async fn insert_children<D: Database>(
    s: &mut ServerSession<D>,
    writes: &[StepWrite],
) -> Outcome<()> {
    let children: Vec<&NewProgram> = writes
        .iter()
        .filter(|write| stores_children(write))
        .flat_map(|write| &write.children)
        .collect();
    if !children.is_empty() {
        create::insert::<D, _>(s, &children, true).await?;
    }
    Ok(())
}

/// How many transactions are within each other.
fn depth<D: Database>(s: &mut ServerSession<D>) -> Option<u32> {
    let status = Manager::<D>::transaction_manager_status_mut(s.conn());
    match status.transaction_depth() {
        Ok(depth) => depth.map(|depth| depth.get()),
        // An error has broken it.
        Err(_) => None,
    }
}

fn foreign() -> Error {
    Error::new(ErrorKind::Store, "the transaction is another store's")
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}
