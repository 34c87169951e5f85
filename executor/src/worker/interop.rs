//! What a worker does otherwise where the broker is shared with program-executor (SEMANTICS §6).

use std::{sync::Arc, time::Duration};

use super::{Shared, record::Record};
use crate::{
    broker::{Announcement, Left},
    job::JobDefinition,
    retry::RetryPolicy,
    run_id::RunId,
    store::{Change, Written},
};

/// How soon program-executor tries again.
const AGAIN: Duration = Duration::from_secs(1);
/// How soon a program is handed over again that the broker has not taken.
const NOT_TAKEN: Duration = Duration::from_secs(5);

impl Shared {
    /// How soon a program comes again that goes back to the queue and has not failed.
    pub(super) fn again(&self) -> Duration {
        match self.broker.is_shared() {
            true => AGAIN,
            false => Duration::ZERO,
        }
    }

    /// What a worker that stops gives back is for whoever hears the broker.
    pub(super) fn given_back(&self, change: Change) -> Change {
        match change {
            Change::GiveBack if self.broker.is_shared() && self.stopping.is_cancelled() => {
                Change::HandOver
            }
            change => change,
        }
    }
}

/// How a job is tried again: where nothing is said of that, as program-executor does.
pub(super) fn policy(worker: &Shared, job: Option<&JobDefinition>) -> RetryPolicy {
    let policy = job.map_or(RetryPolicy::default(), |job| job.options.retry());
    match worker.broker.is_shared() && policy == RetryPolicy::default() {
        true => RetryPolicy::every(AGAIN),
        false => policy,
    }
}

/// Gives a program to whoever hears the broker, from this step on; whether that freed the slot.
///
/// The claim holds until the broker has the message. When this worker dies before, another one takes the
/// claim over and does it again.
pub(super) async fn hand_over(
    worker: &Shared,
    record: &Arc<Record>,
    run_id: &RunId,
    step: usize,
) -> bool {
    let memory = &record.memory;
    let queue = match worker.store.get(run_id.clone()).await {
        Ok(program) => program.map(|program| program.queue),
        Err(_) => None,
    };
    let taken = match queue {
        Some(queue) => {
            let announcement = Announcement {
                queue: queue.into(),
                run_id: run_id.clone(),
                left: Some(Left {
                    jobs: memory.jobs[step..].to_vec(),
                    program_data: memory.program_data.clone(),
                }),
            };
            worker.broker.hand_over(announcement).await
        }
        None => false,
    };
    let change = match taken {
        true => Change::HandedOver,
        false => Change::Snooze { after: NOT_TAKEN },
    };
    record.write(change).await == Written::Committed
}
