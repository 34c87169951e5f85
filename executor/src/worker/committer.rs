//! Group commit: writes that arrive while a commit is under way go together into the next.
//!
//! It promises that a write is answered only when it is durable or refused, and that a slot is
//! freed only then. When the store cannot be written to, the writes wait and are sent again: each
//! carries its revision, so that one which was applied before is recognised. A write that the
//! database refuses by itself is found by halving, and answered as refused; its neighbours go on.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::slots::{Load, Slots};
use crate::{
    error::{Error, ErrorKind},
    store::{Change, StepWrite, Store, Written},
};

/// Rows of one commit at most.
const MOST_ROWS: usize = 2000;
/// Bytes of one commit at most (a single larger write goes alone).
const MOST_BYTES: usize = 8 << 20;

/// A write on its way, and who waits for its answer.
pub(super) struct Pending {
    pub(super) write: StepWrite,
    pub(super) answer: oneshot::Sender<Written>,
    /// What its program takes up.
    pub(super) load: Load,
}

pub(super) struct Committer {
    pub(super) store: Arc<dyn Store>,
    pub(super) slots: Arc<Slots>,
    /// Set when the worker gives up on a store that does not come back.
    pub(super) given_up: CancellationToken,
}

impl Committer {
    pub(super) async fn run(self, mut pending: mpsc::Receiver<Pending>) {
        let mut batch = Vec::new();
        while pending.recv_many(&mut batch, MOST_ROWS).await > 0 {
            while !batch.is_empty() {
                let rest = batch.split_off(fitting(&batch));
                self.commit(std::mem::replace(&mut batch, rest)).await;
            }
        }
    }

    async fn commit(&self, batch: Vec<Pending>) {
        let mut writes = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for Pending {
            write,
            answer,
            load,
        } in batch
        {
            waiting.push((answer, ends_the_claim(&write.change).then_some(load)));
            writes.push(write);
        }
        let written = self.write(Arc::new(writes)).await;
        let mut freed = Vec::new();
        for ((answer, load), written) in waiting.into_iter().zip(written) {
            // Refused, stopped and lost programs free their slots when they have ended.
            if written == Written::Committed {
                freed.extend(load);
            }
            // A body that was dropped meanwhile does not wait for its answer any more.
            let _ = answer.send(written);
        }
        self.slots.release(&freed);
    }

    /// Writes until the store has taken or refused each.
    async fn write(&self, writes: Arc<Vec<StepWrite>>) -> Vec<Written> {
        let mut tried = 0;
        loop {
            match self.store.commit(Arc::clone(&writes)).await {
                Ok(written) => {
                    if tried > 0 {
                        tracing::info!("the store can be written to again");
                    }
                    return written;
                }
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    return self.halve(writes, error).await;
                }
                Err(error) => {
                    if tried == 0 {
                        tracing::warn!(%error, "steps can't be recorded now; trying again");
                    }
                    tried += 1;
                    let pause = Duration::from_millis(50 * u64::from(1u32 << tried.min(5)));
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.given_up.cancelled() => {
                            return vec![Written::LeaseLost; writes.len()];
                        }
                    }
                }
            }
        }
    }

    async fn halve(&self, writes: Arc<Vec<StepWrite>>, error: Error) -> Vec<Written> {
        if writes.len() == 1 {
            return vec![Written::Refused(error.to_string())];
        }
        // The store has let go of the batch, so that this is its only owner.
        let Ok(mut first) = Arc::try_unwrap(writes) else {
            return Vec::new();
        };
        let second = first.split_off(first.len() / 2);
        let mut written = Box::pin(self.write(Arc::new(first))).await;
        written.extend(Box::pin(self.write(Arc::new(second))).await);
        written
    }
}

/// How many of the first writes go into one commit.
fn fitting(batch: &[Pending]) -> usize {
    let mut bytes = 0;
    let fits = batch.iter().take_while(|pending| {
        bytes += pending.write.bytes();
        bytes <= MOST_BYTES
    });
    fits.count().max(1)
}

/// Whether the program's slot is free once this is durable.
pub(super) fn ends_the_claim(change: &Change) -> bool {
    !matches!(change, Change::Save { .. } | Change::Advance { .. })
}
