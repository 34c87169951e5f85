//! Group commit: writes that arrive while a commit is under way go together into the next.
//!
//! It promises that a write is answered only when it is durable or refused, and that a slot is
//! freed only then. When the store cannot be written to, the writes wait and are sent again: each
//! carries its revision, so that one which was applied before is recognised. A write that the
//! database refuses by itself is found by halving, and answered as refused; its neighbours go on.
//! So they do where some client holds a row locked: that write is sent again by itself, until it
//! gets through (SEMANTICS §1.3).

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    outage::{Outage, Trade},
    slots::{Load, Slots},
};
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
    pub(super) outage: Arc<Outage>,
    /// Set when the worker gives up on a store that does not come back.
    pub(super) given_up: CancellationToken,
}

impl Committer {
    pub(super) async fn run(self, mut pending: mpsc::Receiver<Pending>) {
        let committer = Arc::new(self);
        let mut held_up = JoinSet::new();
        let mut batch = Vec::new();
        while pending.recv_many(&mut batch, MOST_ROWS).await > 0 {
            while !batch.is_empty() {
                let rest = batch.split_off(fitting(&batch));
                let batch = std::mem::replace(&mut batch, rest);
                for pending in committer.commit(batch).await {
                    held_up.spawn(Arc::clone(&committer).commit_slowly(pending));
                }
            }
            while held_up.try_join_next().is_some() {}
        }
        while held_up.join_next().await.is_some() {}
    }

    /// Writes a batch; what comes back was held up by somebody's lock.
    async fn commit(&self, batch: Vec<Pending>) -> Vec<Pending> {
        let mut writes = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for Pending {
            write,
            answer,
            load,
        } in batch
        {
            waiting.push((answer, load));
            writes.push(write);
        }
        let mut freed = Vec::new();
        let mut locked = Vec::new();
        let written = self.write(writes).await;
        for ((answer, load), written) in waiting.into_iter().zip(written) {
            let written = match written {
                Done::Written { written, ends } => {
                    // Refused, stopped and lost programs free their slots when they have ended.
                    if ends && written == Written::Committed {
                        freed.push(load);
                    }
                    written
                }
                Done::Locked(write) => {
                    locked.push(Pending {
                        write,
                        answer,
                        load,
                    });
                    continue;
                }
            };
            // A body that was dropped meanwhile does not wait for its answer any more.
            let _ = answer.send(written);
        }
        self.slots.release(&freed);
        locked
    }

    /// Writes what somebody's lock holds up.
    async fn commit_slowly(self: Arc<Self>, mut pending: Pending) {
        let mut pause = Duration::from_millis(20);
        tracing::debug!(
            id = pending.write.fence.id,
            "a program's row is locked by another client"
        );
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.given_up.cancelled() => {
                    let _ = pending.answer.send(Written::LeaseLost);
                    return;
                }
            }
            pending = match self.commit(vec![pending]).await.pop() {
                Some(locked) => locked,
                None => return,
            };
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Writes until the store has taken or refused each.
    async fn write(&self, writes: Vec<StepWrite>) -> Vec<Done> {
        let writes = Arc::new(writes);
        let mut tried = 0;
        loop {
            match self.store.commit(Arc::clone(&writes)).await {
                Ok(written) => {
                    self.outage.is_over(Trade::Commits);
                    return unshared(writes).zip(written).map(Done::of).collect();
                }
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    return self.halve(unshared(writes).collect(), &error).await;
                }
                Err(error) => {
                    self.outage.begins(Trade::Commits, &error);
                    tried += 1;
                    let pause = Duration::from_millis(50 * u64::from(1u32 << tried.min(5)));
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.given_up.cancelled() => {
                            let lost = |write| Done::of((write, Some(Written::LeaseLost)));
                            return unshared(writes).map(lost).collect();
                        }
                    }
                }
            }
        }
    }

    async fn halve(&self, mut first: Vec<StepWrite>, error: &Error) -> Vec<Done> {
        if first.len() == 1 {
            let refused = |write| Done::of((write, Some(Written::Refused(error.to_string()))));
            return first.into_iter().map(refused).collect();
        }
        let second = first.split_off(first.len() / 2);
        let mut done = Box::pin(self.write(first)).await;
        done.extend(Box::pin(self.write(second)).await);
        done
    }
}

/// What became of one write of a batch.
enum Done {
    Written {
        written: Written,
        /// Whether the write was to end the claim.
        ends: bool,
    },
    Locked(StepWrite),
}

impl Done {
    fn of((write, written): (StepWrite, Option<Written>)) -> Self {
        match written {
            Some(written) => Self::Written {
                written,
                ends: ends_the_claim(&write.change),
            },
            None => Self::Locked(write),
        }
    }
}

/// The writes, of which the store has let go: it has answered.
fn unshared(writes: Arc<Vec<StepWrite>>) -> impl Iterator<Item = StepWrite> {
    let writes = Arc::try_unwrap(writes);
    debug_assert!(writes.is_ok(), "the store has kept what it has answered");
    writes.unwrap_or_default().into_iter()
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
    !matches!(
        change,
        Change::Save { .. }
            | Change::Advance { .. }
            | Change::AdvanceAndHandOver { .. }
            | Change::HandOver
    )
}
