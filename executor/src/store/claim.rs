//! What a worker asks of a claim, and what it gets.

use std::{sync::Arc, time::Duration};

use super::{Fence, Held, Hold, WorkerId};
use crate::{config::Share, run_id::RunId};

/// What a worker can take.
#[derive(Debug)]
pub(crate) struct ClaimRequest {
    pub(crate) worker: WorkerId,
    /// Of which queues, and how many of those that share slots.
    pub(crate) shares: Vec<Share>,
    /// How many in all; a store may ask for fewer at once than there are.
    pub(crate) slots: usize,
    pub(crate) bytes: usize,
    pub(crate) lease: Duration,
    pub(crate) max_crashes: u32,
    pub(crate) jobs: Arc<KnownJobs>,
    /// Room left in jobs that have a limit in this worker, by name.
    pub(crate) room: Vec<(&'static str, usize)>,
    /// What this worker runs: it renews these leases where they have ended, and never takes over
    /// from itself (SEMANTICS §2.4).
    pub(crate) running: Vec<Held>,
    /// How many programs may be taken that seem to kill their workers.
    pub(crate) suspects: usize,
    /// Where to look from, for a store that remembers it; empty: from the beginning.
    pub(crate) floors: Vec<Floor>,
}

impl ClaimRequest {
    /// From how many crashes on a program is a suspect: it runs beside no other one, so that the
    /// neighbours of the one that kills do not use up their crashes with it.
    pub(crate) fn suspect_from(&self) -> u32 {
        self.max_crashes.saturating_sub(1).clamp(1, 3)
    }

    /// Whether some queues have slots that others can't take.
    pub(crate) fn is_divided(&self) -> bool {
        self.shares.len() > 1
    }

    /// Whose slots programs of this queue take.
    pub(crate) fn share_of(&self, queue: &str) -> usize {
        if !self.is_divided() {
            return 0;
        }
        let has = |share: &Share| share.queues.iter().any(|name| name == queue);
        self.shares.iter().position(has).unwrap_or(0)
    }

    /// How many of these programs take slots of which share.
    pub(crate) fn taken_of_shares(&self, programs: &[ClaimedProgram]) -> Vec<usize> {
        let mut taken = vec![0; self.shares.len()];
        for program in programs {
            taken[self.share_of(&program.queue)] += 1;
        }
        taken
    }

    /// How many programs at this job may be taken.
    pub(crate) fn room_for(&self, job: &str) -> usize {
        if !self.jobs.others && !self.jobs.names.contains(job) {
            return 0;
        }
        let limit = self.room.iter().find(|(name, _)| *name == job);
        limit.map_or(self.slots, |(_, room)| (*room).min(self.slots))
    }
}

/// Which jobs a claim may name.
#[derive(Debug)]
pub(crate) struct KnownJobs {
    pub(crate) names: std::collections::HashSet<&'static str>,
    /// Whether programs at an unknown job are taken too (to skip or fail it).
    pub(crate) others: bool,
}

/// How far the available programs of a job were taken: what lies before has gone, and a look at it
/// would only walk over its remains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) queue: String,
    pub(crate) job: String,
    pub(crate) order_key: i64,
    pub(crate) id: i64,
}

/// What a claim took.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) programs: Vec<ClaimedProgram>,
    /// How long until the next known due time or lease end.
    pub(crate) next_due: Option<Duration>,
    /// Whether more was due than was taken, of queues whose slots were not all taken.
    pub(crate) more: bool,
    /// Whether something in which the queues have a part has kept one from slots that it has: a claim for
    /// those of which there still are some may take more.
    pub(crate) again: bool,
    /// Whether others were just taking what was due.
    pub(crate) contended: bool,
    /// How far each job's programs were taken, for a store that remembers it.
    pub(crate) floors: Vec<Floor>,
    /// Programs that were errored because they killed worker after worker.
    pub(crate) killed: Vec<Killed>,
}

/// A program that was errored because its workers died in one step of it.
#[derive(Debug)]
pub(crate) struct Killed {
    pub(crate) run_id: RunId,
    pub(crate) step: usize,
    pub(crate) job: String,
    pub(crate) message: String,
}

/// A program under a claim: only a claim makes one.
#[derive(Debug)]
pub(crate) struct ClaimedProgram {
    pub(crate) fence: Fence,
    pub(crate) run_id: RunId,
    pub(crate) queue: String,
    /// The job that was claimed, and whose room it takes.
    pub(crate) job: String,
    pub(crate) jobs: String,
    pub(crate) program_data: String,
    pub(crate) job_data: String,
    pub(crate) outputs: String,
    pub(crate) step: usize,
    pub(crate) retry_count: u32,
    pub(crate) ordinal: u32,
    /// Whether a job that stands in it again shares its data with where it stood before.
    pub(crate) shared_keys: bool,
    pub(crate) bytes: usize,
    /// Whether it seems to kill its workers.
    pub(crate) suspect: bool,
    /// Its place under a limit over all workers.
    pub(crate) hold: Option<Hold>,
}

#[cfg(feature = "server")]
impl Floor {
    /// Where nothing was taken yet.
    pub(super) fn beginning(queue: String, job: String) -> Self {
        Self {
            queue,
            job,
            order_key: i64::MIN,
            id: 0,
        }
    }

    /// Notes that the programs of its job were taken as far as this; they come in their order.
    pub(super) fn note(self, floors: &mut Vec<Self>) {
        let same = |known: &&mut Self| known.queue == self.queue && known.job == self.job;
        match floors.iter_mut().find(same) {
            Some(known) => *known = self,
            None => floors.push(self),
        }
    }
}
