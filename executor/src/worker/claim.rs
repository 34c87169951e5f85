//! Claims, and the start of what they bring.
//!
//! A claim asks for no more than there is capacity for. Jobs that have a limit over all workers are
//! claimed by themselves, behind the others, so that these cost the others nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    Shared,
    decide::Tell,
    program,
    slots::Load,
    tell::{Whose, tell},
};
use crate::{
    error::Result,
    job::Registry,
    store::{ClaimRequest, Claimed, Killed, LimitedJob, LimitedRequest},
};

/// When to claim again.
#[derive(Debug)]
pub(super) enum Next {
    /// As soon as a slot is free.
    WhenFreed,
    /// When something may have become due, or so much later; or, where something due had no room,
    /// when some is freed.
    WhenDue { at_most: Duration, or_freed: bool },
    /// After a pause.
    After(Duration),
}

/// The jobs that have a limit over all workers.
pub(super) fn limited(registry: &Registry) -> Vec<LimitedJob> {
    let limited = registry.iter().filter_map(|job| {
        Some(LimitedJob {
            name: job.name,
            room: usize::MAX,
            limit: job.options.global_limit()?,
        })
    });
    limited.collect()
}

/// Claims as much as there is capacity for: first of the jobs without a limit over all workers, and
/// then of the others.
pub(super) async fn claim(
    shared: &Arc<Shared>,
    programs: &mut JoinSet<()>,
    slow_poll: Duration,
) -> Result<Next> {
    let (slots, bytes) = shared.slots.available();
    if slots == 0 || (bytes == 0 && !shared.slots.is_idle()) {
        return Ok(Next::WhenFreed);
    }
    let mut room = shared.slots.reserve_room();
    let next = claim_reserved(shared, programs, slow_poll, &mut room).await;
    for (job, room) in room {
        shared.slots.return_room(job, room);
    }
    next
}

/// A claim with the room that was reserved for it, of which it leaves what it did not use.
async fn claim_reserved(
    shared: &Arc<Shared>,
    programs: &mut JoinSet<()>,
    slow_poll: Duration,
    room: &mut [(&'static str, usize)],
) -> Result<Next> {
    let (slots, bytes) = shared.slots.available();
    let limited = shared.limited.iter().map(|job| job.name);
    let without_limited = |(job, _): &&(&'static str, usize)| !limited.clone().any(|it| it == *job);
    let request = ClaimRequest {
        worker: shared.id,
        queues: shared.config.queues.clone(),
        slots,
        bytes,
        lease: shared.config.lease,
        max_crashes: shared.config.max_crashes,
        jobs: Arc::clone(&shared.known),
        room: room
            .iter()
            .filter(without_limited)
            .copied()
            .chain(limited.clone().map(|job| (job, 0)))
            .collect(),
        running: shared
            .running
            .leases()
            .iter()
            .map(|lease| lease.held)
            .collect(),
        suspects: shared.slots.suspects(),
        floors: Vec::new(),
    };
    let suspect_from = request.suspect_from();
    let sent = Instant::now();
    let claimed = shared.store.claim(request).await?;
    let mut at_most = slow_poll.min(claimed.next_due.unwrap_or(slow_poll));
    let mut or_freed = start(shared, programs, claimed, room, sent);
    let (slots, bytes) = shared.slots.available();
    if !shared.limited.is_empty() && slots > 0 && (bytes > 0 || shared.slots.is_idle()) {
        let with_room = |job: &LimitedJob| LimitedJob {
            room: room
                .iter()
                .find(|(name, _)| *name == job.name)
                .map_or(slots, |(_, room)| *room),
            ..*job
        };
        let request = LimitedRequest {
            worker: shared.id,
            queues: shared.config.queues.clone(),
            slots,
            bytes,
            lease: shared.config.lease,
            grace: shared.config.cancel_grace,
            jobs: shared.limited.iter().map(with_room).collect(),
            suspects: shared.slots.suspects(),
            suspect_from,
        };
        let sent = Instant::now();
        let claimed = shared.store.claim_limited(request).await?;
        let more = claimed.more;
        let next_due = match claimed.next_due {
            // Places for more are there, or programs that come back to take them.
            None if more && !claimed.programs.is_empty() => Duration::ZERO,
            next_due => next_due.unwrap_or(slow_poll),
        };
        at_most = at_most.min(next_due);
        or_freed |= start(shared, programs, claimed, room, sent);
    }
    Ok(Next::WhenDue {
        at_most: at_most.max(Duration::from_millis(1)),
        or_freed,
    })
}

/// Starts what was claimed; takes what it uses from the reserved room. Whether there is more, for
/// which something must be freed.
fn start(
    shared: &Arc<Shared>,
    programs: &mut JoinSet<()>,
    claimed: Claimed,
    unused: &mut [(&'static str, usize)],
    sent: Instant,
) -> bool {
    for killed in claimed.killed {
        let Killed {
            run_id,
            step,
            job,
            message,
        } = killed;
        let whose = Whose {
            run_id: &run_id,
            step,
            job: &job,
            attempt: 1,
        };
        tell(shared, &whose, &Tell::Error(message));
    }
    let until = sent + shared.config.lease;
    for program in claimed.programs {
        let load = Load {
            bytes: program.bytes,
            suspect: program.suspect,
        };
        shared.slots.take(load);
        let limited = unused
            .iter_mut()
            .find(|(job, room)| program.job == *job && *room > 0);
        let room = limited.map(|(job, room)| {
            *room -= 1;
            *job
        });
        let lease = shared.running.add(program.fence, until);
        programs.spawn(program::run(Arc::clone(shared), program, lease, load, room));
    }
    claimed.more || unused.iter().any(|(_, room)| *room == 0)
}
