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
    dispatch::{Known, Next},
    program,
    slots::Load,
    tell::{Whose, tell},
};
use crate::{
    broker::{Ask, By, Ear},
    config::Share,
    error::Result,
    job::Registry,
    store::{ClaimRequest, Claimed, Killed, LimitedJob, LimitedRequest},
};

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

/// Claims what the ear asks for, as far as there is capacity: first of the jobs without a limit over all
/// workers, and then of the others.
pub(super) async fn claim(
    shared: &Arc<Shared>,
    programs: &mut JoinSet<()>,
    ear: &mut (dyn Ear + '_),
    known: &mut Known,
) -> Result<Next> {
    let (free, _) = shared.slots.available();
    if free.iter().all(|slots| *slots == 0) {
        return Ok(Next::WhenFreed);
    }
    let full = (0..free.len()).filter(|share| free[*share] == 0);
    known.full = full.collect();
    let due = known.next_due.is_some_and(|at| at <= Instant::now());
    let Some(ask) = ear.ask(&free, due) else {
        return Ok(Next::WhenHeard);
    };
    ear.prepare(&ask).await?;
    let mut room = shared.slots.reserve_room();
    let came = claim_reserved(shared, programs, &ask, &mut room).await;
    for (job, room) in room {
        shared.slots.return_room(job, room);
    }
    let came = came?;
    ear.answered(&ask, &came.taken, came.more);
    *known = Known {
        next_due: came.next_due.map(|wait| Instant::now() + wait),
        no_room: came.no_room,
        full: std::mem::take(&mut known.full),
    };
    Ok(Next::WhenHeard)
}

/// What a claim came to.
struct Came {
    /// Share by share.
    taken: Vec<usize>,
    /// Whether more was due of the jobs without a limit over all workers, where slots are left.
    more: bool,
    next_due: Option<Duration>,
    no_room: bool,
}

impl Came {
    fn count(&mut self, ask: &Ask, claimed: &Claimed) {
        match &mut self.taken[..] {
            [taken] => *taken += claimed.programs.len(),
            taken => {
                for program in &claimed.programs {
                    let its = |share: &Share| share.queues.contains(&program.queue);
                    if let Some(at) = ask.shares.iter().position(its) {
                        taken[at] += 1;
                    }
                }
            }
        }
    }

    /// How many slots were asked for and not taken, share by share.
    fn left(&self, ask: &Ask) -> impl Iterator<Item = usize> {
        let both = ask.shares.iter().zip(&self.taken);
        both.map(|(share, taken)| share.slots.saturating_sub(*taken))
    }
}

/// A claim with the room that was reserved for it, of which it leaves what it did not use.
async fn claim_reserved(
    shared: &Arc<Shared>,
    programs: &mut JoinSet<()>,
    ask: &Ask,
    room: &mut [(&'static str, usize)],
) -> Result<Came> {
    let (_, bytes) = shared.slots.available();
    let limited = shared.limited.iter().map(|job| job.name);
    let without_limited = |(job, _): &&(&'static str, usize)| !limited.clone().any(|it| it == *job);
    let request = ClaimRequest {
        worker: shared.id,
        shares: ask.shares.clone(),
        slots: ask.slots(),
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
    let mut came = Came {
        taken: vec![0; ask.shares.len()],
        more: claimed.more,
        next_due: claimed.next_due,
        no_room: claimed.more,
    };
    let again = claimed.again && !claimed.programs.is_empty();
    came.count(ask, &claimed);
    if ask.by == By::Permits {
        // A claim that has got all it had permits for says nothing of what is left.
        let left = came.left(ask).any(|slots| slots > 0);
        came.no_room &= left;
    }
    if ask.shares.len() > 1 {
        let filled = came.left(ask).any(|slots| slots == 0);
        came.no_room |= filled;
    }
    if again && came.left(ask).any(|slots| slots > 0) {
        came.next_due = Some(Duration::ZERO);
    }
    came.no_room |= start(shared, programs, claimed, room, sent);
    let (free, bytes) = shared.slots.available();
    let left = { ask.shares.iter() }
        .zip(came.left(ask))
        .map(|(share, left)| Share {
            queues: Arc::clone(&share.queues),
            slots: left.min(free[shared.slots.share_of(&share.queues[0])]),
        });
    let shares: Vec<Share> = left.filter(|share| share.slots > 0).collect();
    if !shared.limited.is_empty() && !shares.is_empty() {
        let slots = shares.iter().map(|share| share.slots).sum();
        let with_room = |job: &LimitedJob| LimitedJob {
            room: room
                .iter()
                .find(|(name, _)| *name == job.name)
                .map_or(slots, |(_, room)| *room),
            ..*job
        };
        let request = LimitedRequest {
            worker: shared.id,
            shares,
            bytes,
            lease: shared.config.lease,
            grace: shared.config.cancel_grace,
            jobs: shared.limited.iter().map(with_room).collect(),
            suspects: shared.slots.suspects(),
            suspect_from,
        };
        let sent = Instant::now();
        let claimed = shared.store.claim_limited(request).await?;
        came.next_due = came.next_due.into_iter().chain(claimed.next_due).min();
        came.count(ask, &claimed);
        came.no_room |= claimed.more;
        came.no_room |= start(shared, programs, claimed, room, sent);
    }
    Ok(came)
}

/// Starts what was claimed; takes what it uses from the reserved room. Whether a job has no room left.
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
            memory: None,
        };
        tell(shared, &whose, &Tell::Error(message));
    }
    let until = sent + shared.config.lease;
    for program in claimed.programs {
        let load = Load {
            share: shared.slots.share_of(&program.queue),
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
    unused.iter().any(|(_, room)| *room == 0)
}
