//! Claims of jobs that have a limit over all workers.

use std::time::Duration;

use super::{Held, WorkerId};
use crate::{config::Share, job::GlobalLimit};

/// What a worker can take of its limited jobs.
#[derive(Clone, Debug)]
pub(crate) struct LimitedRequest {
    pub(crate) worker: WorkerId,
    /// Of which queues, and how many of those that share slots.
    pub(crate) shares: Vec<Share>,
    pub(crate) bytes: usize,
    pub(crate) lease: Duration,
    /// How long a body may go on when its lease can't be counted on any more.
    pub(crate) grace: Duration,
    pub(crate) jobs: Vec<LimitedJob>,
    /// How many programs may be taken that seem to kill their workers, and from how many crashes on
    /// one seems to.
    pub(crate) suspects: usize,
    pub(crate) suspect_from: u32,
}

/// A limited job, and how many of it this worker has room for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitedJob {
    pub(crate) name: &'static str,
    pub(crate) room: usize,
    pub(crate) limit: GlobalLimit,
}

/// A place under a limit that a running program takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hold {
    /// The limit.
    pub(crate) name: String,
    pub(crate) program: i64,
    pub(crate) token: i64,
}

impl Hold {
    /// The claim that has it.
    pub(crate) fn held(&self) -> Held {
        Held {
            id: self.program,
            token: self.token,
        }
    }
}
