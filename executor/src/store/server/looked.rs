//! What a store remembers of its claims: when to look for what becomes due by itself, where a busy claim
//! goes on, and for how much to ask.

use std::{sync::Arc, time::Duration};

use super::{Database, Inner};
use crate::{
    config::Share,
    error::Result,
    store::{ClaimRequest, Claimed, ClaimedProgram, Floor},
};

/// How often busy claims look for what has become due by itself.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// When what becomes due by itself was looked for.
#[derive(Default)]
pub(super) struct Looked {
    at: Option<tokio::time::Instant>,
    next_due: Option<tokio::time::Instant>,
    reached: Vec<Reached>,
    /// How many claims in a row have got nothing of what others were taking.
    in_vain: u32,
    /// The bytes of a program, on average over the last ones taken; zero: not known yet.
    bytes: usize,
    /// Whether the last claim has.
    failed: bool,
    /// How often the bell had rung before the last claim.
    rung: u64,
    /// Whether the last claim has put off its look.
    owes: bool,
}

/// How far the programs of queues that share slots were taken, as long as all of the slots are.
struct Reached {
    queues: Arc<[String]>,
    floors: Vec<Floor>,
    /// When it was looked from the beginning.
    since: tokio::time::Instant,
}

impl Looked {
    /// How many programs to ask for: twice what the byte budget is likely to let in, or a claim of large
    /// ones would read many that it can't take.
    pub(super) fn slots(&self, request: &ClaimRequest) -> usize {
        const FEW: usize = 16;
        let likely = request.bytes.checked_div(self.bytes).unwrap_or(usize::MAX);
        let least = if self.failed { 1 } else { FEW };
        request.slots.min(likely.saturating_mul(2).max(least))
    }

    fn reached(&mut self, share: &Share) -> Option<&mut Reached> {
        let its = |reached: &&mut Reached| reached.queues == share.queues;
        self.reached.iter_mut().find(its)
    }

    pub(super) fn has_seen(&mut self, programs: &[ClaimedProgram]) {
        let bytes: usize = programs.iter().map(|program| program.bytes).sum();
        if let Some(average) = bytes.checked_div(programs.len()) {
            self.bytes = average.max(self.bytes.midpoint(average));
            self.failed = false;
        }
    }

    /// A claim has failed: it may have taken too long for what it was to read, and the next asks for
    /// less.
    pub(super) fn has_failed(&mut self, request: &ClaimRequest) {
        let asked = request.bytes / request.slots.max(1);
        let larger = self.bytes.max(asked).saturating_mul(4);
        self.bytes = larger.min(request.bytes);
        self.failed = true;
    }
}

impl<D: Database> Inner<D> {
    /// Whether this claim looks for what becomes due by itself: when the known next due time has
    /// come, and else now and then. Busy claims need not look each time; and where nothing is known to
    /// be due, one that the bell has woken takes first what it was rung for, and leaves the look to the
    /// next, which follows at once.
    pub(super) fn looks(&self) -> bool {
        let mut looked = self.looked();
        let now = tokio::time::Instant::now();
        let rung = std::mem::replace(&mut looked.rung, self.bell.count());
        let woken = rung != looked.rung && looked.at.is_some();
        let known = looked.next_due.is_some_and(|at| at <= now);
        let long_ago = looked.at.is_none_or(|at| now - at >= LOOK_EVERY);
        looked.owes = long_ago && woken && !known && !looked.owes;
        known || (long_ago && !looked.owes)
    }

    /// Something becomes due after this time, or sooner.
    pub(super) fn will_be_due(&self, after: Duration) {
        let due = tokio::time::Instant::now() + after;
        let mut looked = self.looked();
        looked.next_due = Some(looked.next_due.map_or(due, |at| at.min(due)));
    }

    /// Notes what a claim has seen.
    pub(super) fn has_looked(
        &self,
        request: &ClaimRequest,
        look: bool,
        began: tokio::time::Instant,
        claimed: Result<Claimed>,
    ) -> Result<Claimed> {
        let mut claimed = claimed?;
        let mut looked = self.looked();
        let now = tokio::time::Instant::now();
        if look {
            looked.at = Some(began);
            looked.next_due = claimed.next_due.map(|wait| now + wait);
        } else {
            claimed.next_due = match looked.owes {
                true => Some(Duration::ZERO),
                false => looked.next_due.map(|at| at.saturating_duration_since(now)),
            };
        }
        looked.has_seen(&claimed.programs);
        self.has_taken(&mut looked, request, &mut claimed);
        if claimed.contended && claimed.programs.is_empty() {
            // Others are taking the same programs: what they leave is to be had in a moment.
            let pause = Duration::from_millis(1 << looked.in_vain.min(9));
            looked.in_vain += 1;
            claimed.next_due = Some(claimed.next_due.map_or(pause, |due| due.min(pause)));
        } else {
            looked.in_vain = 0;
        }
        Ok(claimed)
    }

    /// Where the next claim looks from: a busy one goes on where the last one has stopped, and looks
    /// from the beginning now and then, for what has a better place.
    pub(super) fn floors(&self, shares: &[Share]) -> Vec<Floor> {
        const EVERY: Duration = Duration::from_millis(500);
        let mut looked = self.looked();
        let now = tokio::time::Instant::now();
        looked.reached.retain(|reached| now - reached.since < EVERY);
        let mut floors = Vec::new();
        for share in shares {
            match looked.reached(share) {
                Some(reached) if reached.floors.is_empty() => reached.since = now,
                Some(reached) => floors.extend_from_slice(&reached.floors),
                None => looked.reached.push(Reached {
                    queues: Arc::clone(&share.queues),
                    floors: Vec::new(),
                    since: now,
                }),
            }
        }
        floors
    }

    pub(super) fn has_taken(
        &self,
        looked: &mut Looked,
        request: &ClaimRequest,
        claimed: &mut Claimed,
    ) {
        let all = claimed.programs.len() == request.slots;
        let taken = request.taken_of_shares(&claimed.programs);
        for (share, taken) in request.shares.iter().zip(taken) {
            let its = |floor: &Floor| share.queues.contains(&floor.queue);
            let full = all || taken == share.slots;
            if let Some(reached) = looked.reached(share) {
                for floor in claimed.floors.extract_if(.., |floor| its(floor)) {
                    floor.note(&mut reached.floors);
                }
                if !full {
                    reached.floors.clear();
                }
            }
            if !full && request.floors.iter().any(its) {
                // There may be more before.
                claimed.more = true;
                claimed.next_due = Some(Duration::ZERO);
            }
        }
    }

    pub(super) fn looked(&self) -> std::sync::MutexGuard<'_, Looked> {
        self.looked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
