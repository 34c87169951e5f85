//! One attempt of a job's body: run, watched, and ended where it must end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    decide::{Cause, interrupted},
    running::Lease,
};
use crate::job::{Attempt, CatchPanic, Encoded, JobDefinition, JobError, Reason, TxSlot};

/// Runs the body to its end.
///
/// A timeout, a stop and a shutdown set its cancellation token; a body that does not return within
/// `cancel_grace` after that is dropped, except for a blocking one, which nobody can end: it keeps
/// its slot and its lease till it returns (SEMANTICS §2.3).
pub(super) async fn run(
    definition: &'static JobDefinition,
    attempt: Attempt,
    lease: &Arc<Lease>,
    cancel_grace: Duration,
    tx_limit: Option<Duration>,
) -> Result<Encoded, Reason> {
    let cancellation = attempt.parts().cancellation.clone();
    let tx = attempt.parts().tx.clone();
    let mut body = CatchPanic::new((definition.run)(attempt));
    let timeout = definition.options.timeout();
    tokio::select! {
        biased;
        result = &mut body => return outcome(result),
        () = cancellation.cancelled() => {}
        () = after(timeout) => {
            cancellation.cancel();
            let limit = timeout.unwrap_or_default();
            return end(body, definition, Cause::TimedOut(limit), cancel_grace).await;
        }
        limit = too_long(tx.as_deref(), tx_limit) => {
            cancellation.cancel();
            return end(body, definition, Cause::TimedOut(limit), Duration::ZERO).await;
        }
        () = uncertain(definition, lease) => lease.interrupt(Cause::LeaseUncertain),
    }
    let cause = lease.cause().unwrap_or(Cause::Shutdown);
    end(body, definition, cause, cancel_grace).await
}

/// Waits for a body that was asked to end. What it returns counts; else the cause does.
async fn end(
    mut body: CatchPanic<dyn Future<Output = Result<Encoded, JobError>> + Send>,
    definition: &'static JobDefinition,
    cause: Cause,
    grace: Duration,
) -> Result<Encoded, Reason> {
    let grace = (!definition.options.blocking).then_some(grace);
    let result = tokio::select! {
        biased;
        result = &mut body => Some(outcome(result)),
        () = after(grace) => None,
    };
    match result {
        Some(Ok(output)) => Ok(output),
        // An error that its own cancellation brought about is no news.
        Some(Err(
            reason @ (Reason::Snooze(_)
            | Reason::HandOff
            | Reason::StartAndWait(_)
            | Reason::Checkpoint),
        )) => Err(reason),
        Some(Err(reason @ Reason::LeaseLost)) => Err(reason),
        Some(Err(_)) => Err(interrupted(cause)),
        None => {
            tracing::warn!(
                job = definition.name,
                "a cancelled job did not end in time: dropped"
            );
            // A destructor that panics is the body's own affair.
            if let Err(panic) = CatchPanic::discard(body) {
                tracing::warn!(job = definition.name, panic, "a dropped job panicked");
            }
            Err(interrupted(cause))
        }
    }
}

fn outcome(result: Result<Result<Encoded, JobError>, String>) -> Result<Encoded, Reason> {
    match result {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(error.into_reason()),
        Err(panic) => Err(Reason::Panicked(panic)),
    }
}

async fn after(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}

/// Ends when the job's transaction has kept others waiting for too long.
async fn too_long(tx: Option<&TxSlot>, limit: Option<Duration>) -> Duration {
    match (tx, limit) {
        (Some(tx), Some(limit)) => {
            tx.begun().await;
            tokio::time::sleep(limit).await;
            limit
        }
        _ => std::future::pending().await,
    }
}

/// Ends when a strict job's lease can no longer be counted on.
async fn uncertain(definition: &JobDefinition, lease: &Lease) {
    // A job with a transaction must not go on with what another one may have begun, nor one with a place
    // under a limit that another one may have got.
    let options = &definition.options;
    let limited = options.global_limit().is_some();
    if !options.strict_lease && definition.needs.tx.is_none() && !limited {
        return std::future::pending().await;
    }
    loop {
        let until = lease.until();
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until.into()).await;
    }
}
