//! What people are told of a program, once it is durable; the texts are those of program-executor.

use super::{Shared, decide::Tell};
use crate::{event::Event, run_id::RunId};

/// Whose attempt it was.
pub(super) struct Whose<'a> {
    pub(super) run_id: &'a RunId,
    pub(super) step: usize,
    pub(super) job: &'a str,
    pub(super) attempt: u32,
}

pub(super) fn tell(worker: &Shared, whose: &Whose<'_>, tell: &Tell) {
    let Whose {
        run_id,
        step,
        job,
        attempt,
    } = *whose;
    match tell {
        Tell::Nothing => {}
        Tell::Done => worker.events.raise(|| Event::StepDone {
            run_id: run_id.clone(),
            step,
            job: job.to_owned(),
        }),
        Tell::Retry { message, after } => {
            tracing::warn!(
                %run_id, job, step, attempt, error_message = %message, retry_after = ?after,
                "Consumer error retry"
            );
            worker.events.raise(|| Event::Retrying {
                run_id: run_id.clone(),
                step,
                job: job.to_owned(),
                attempt,
                error: message.clone(),
                after: *after,
            });
        }
        Tell::Error(message) => {
            tracing::error!(
                %run_id, job, step, attempt, error_message = %message, "Consumer error finish"
            );
            worker.events.raise(|| Event::Errored {
                run_id: run_id.clone(),
                step,
                job: job.to_owned(),
                error: message.clone(),
            });
        }
        Tell::Quiet(message) => {
            tracing::debug!(
                %run_id, job, step, attempt, error_message = %message, "Consumer error finish"
            );
        }
    }
}
