//! Steps that end in a job's own transaction.

use std::{sync::Arc, time::Duration};

use super::Shared;
use crate::{
    error::{Error, ErrorKind, Result},
    job::{Begun, JobDefinition, TxConn, TxSlot, TxSource},
    store::{Fence, StepWrite, Store, Written},
};

/// Where the transactions of a job come from, if it writes in one.
pub(super) fn slot(worker: &Shared, definition: &JobDefinition) -> Option<Arc<TxSlot>> {
    let source = || Arc::new(TxSlot::new(Arc::new(Source(Arc::clone(&worker.store)))));
    definition.needs.tx.is_some().then(source)
}

struct Source(Arc<dyn Store>);

impl TxSource for Source {
    fn begin(&self) -> Begun<'_> {
        self.0.begin()
    }
}

/// Ends the transaction with these writes. When the answer is lost, the store is asked what has become
/// of the last one, for as long as it takes (SEMANTICS §1.1).
///
/// # Errors
/// Nothing of the transaction was committed: the step may run again.
pub(super) async fn commit(
    worker: &Shared,
    tx: Box<dyn TxConn>,
    writes: Vec<StepWrite>,
    last: Fence,
) -> Result<Written> {
    let error = match worker.store.commit_in(tx, writes).await {
        Ok(written) => return Ok(written),
        Err(error) => error,
    };
    let mut pause = Duration::from_millis(50);
    loop {
        match worker.store.was_written(last).await {
            Ok(Some(written)) => return Ok(written),
            Ok(None) => return Err(error),
            Err(away) => {
                tracing::debug!(error = %away, "whether a step was recorded is not known yet");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = worker.given_up.cancelled() => {
                return Err(Error::new(ErrorKind::Store, "the store does not come back"));
            }
        }
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}
