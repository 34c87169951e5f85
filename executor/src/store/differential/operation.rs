//! What is done to a store and to the model alike, and what they answer.
//!
//! A claim has the same name for both, a [`Ticket`]. Which row and which fence a store has for it is
//! its own affair.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::{
    ErrorKind, RunId, Timestamp,
    store::{BulkVerb, ProgramState, Pulse, WorkerId, Written},
};

/// A time, as coarse as a test may know it: nothing depends on how fast the test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Time {
    LongAgo,
    Now,
    /// The end of a lease that begins now.
    LeaseEnd,
    Later,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Time {
    /// The time as a delay from now on.
    pub(super) fn delay(self) -> Duration {
        match self {
            Self::LongAgo | Self::Now => Duration::ZERO,
            Self::LeaseEnd => HOUR,
            Self::Later => 2 * HOUR,
        }
    }

    /// The time by the clock. Now is some seconds ago, so that it is past for a server whose clock
    /// goes behind as well.
    pub(super) fn timestamp(self) -> Timestamp {
        let now = SystemTime::now() - Duration::from_secs(20);
        match self {
            Self::LongAgo => Timestamp::from_millis(1000),
            Self::Now => Timestamp::from(now),
            Self::LeaseEnd | Self::Later => Timestamp::from(now + self.delay()),
        }
    }

    pub(super) fn of(timestamp: Timestamp) -> Self {
        let now = Timestamp::from(SystemTime::now());
        let ahead = timestamp.since(now);
        if timestamp < Timestamp::from_millis(1_000_000) {
            Self::LongAgo
        } else if ahead < HOUR / 2 {
            Self::Now
        } else if ahead < HOUR + HOUR / 2 {
            Self::LeaseEnd
        } else {
            Self::Later
        }
    }
}

/// A claim: the program, and which of its claims and writes this is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    pub(super) run_id: RunId,
    pub(super) token: i64,
    pub(super) rev: i64,
}

/// A program to be created. Its priority is its own in the whole sequence: so the order of claims
/// does not depend on which millisecond it was made in.
#[derive(Clone, Debug)]
pub(super) struct New {
    pub(super) run_id: RunId,
    pub(super) name: Option<&'static str>,
    pub(super) queue: &'static str,
    pub(super) jobs: Vec<&'static str>,
    pub(super) program_data: Value,
    pub(super) job_data: Value,
    pub(super) attributes: Value,
    pub(super) priority: i32,
    pub(super) start: Start,
    pub(super) unique_key: Option<&'static str>,
    pub(super) replace: bool,
    pub(super) retry_after: Option<Time>,
    pub(super) parent: Option<RunId>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Now,
    At(Time),
    After(Time),
}

/// A claim to be made.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) worker: WorkerId,
    /// Queues that share slots, and how many.
    pub(super) shares: Vec<(Vec<&'static str>, usize)>,
    /// Whether there are bytes for one program only.
    pub(super) short_of_bytes: bool,
    /// `Now`: the lease is over at once.
    pub(super) lease: Time,
    pub(super) jobs: Vec<&'static str>,
    pub(super) others: bool,
    pub(super) room: Vec<(&'static str, usize)>,
    pub(super) running: Vec<Ticket>,
    pub(super) suspects: usize,
}

impl Claim {
    pub(super) fn share_of(&self, queue: &str) -> Option<usize> {
        let has = |(queues, _): &(Vec<&str>, usize)| queues.contains(&queue);
        self.shares.iter().position(has)
    }
}

/// From how many crashes on a program is errored.
pub(super) const MAX_CRASHES: u32 = 3;

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) ticket: Ticket,
    pub(super) arrow: Arrow,
    pub(super) children: Vec<New>,
    pub(super) ordinal: u32,
}

/// As [`Change`](crate::store::Change), which has no clones.
#[derive(Clone, Debug)]
pub(super) enum Arrow {
    Save {
        job_data: Value,
    },
    Advance {
        next: &'static str,
        outputs: Option<Value>,
    },
    AdvanceAndRelease {
        next: &'static str,
        outputs: Option<Value>,
    },
    Finish {
        outputs: Option<Value>,
    },
    Retry {
        failed: Failed,
        after: Time,
    },
    Fail {
        failed: Failed,
    },
    Snooze {
        after: Time,
    },
    HandOff {
        key: String,
        next: Option<&'static str>,
    },
    GiveBack,
}

impl Arrow {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Save { .. } => "Save",
            Self::Advance { .. } => "Advance",
            Self::AdvanceAndRelease { .. } => "AdvanceAndRelease",
            Self::Finish { .. } => "Finish",
            Self::Retry { .. } => "Retry",
            Self::Fail { .. } => "Fail",
            Self::Snooze { .. } => "Snooze",
            Self::HandOff { .. } => "HandOff",
            Self::GiveBack => "GiveBack",
        }
    }
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) step: usize,
    pub(super) job: String,
    pub(super) attempt: u32,
    pub(super) message: String,
}

/// Whom a report is about.
#[derive(Clone, Debug)]
pub(super) enum About {
    RunId(RunId),
    /// By the hand-off token that the job under this claim has, at this step.
    Claim(Ticket, usize),
    /// By the hand-off token that the program shows while it waits.
    Shown(RunId),
}

impl About {
    pub(super) fn run_id(&self) -> &RunId {
        match self {
            Self::RunId(run_id) | Self::Shown(run_id) => run_id,
            Self::Claim(ticket, _) => &ticket.run_id,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Create(Vec<New>),
    Claim(Claim),
    Commit(Vec<Write>),
    /// A job's transaction: programs created in it, and the last writes of its step.
    CommitIn {
        created: Vec<New>,
        writes: Vec<Write>,
    },
    WasWritten(Ticket),
    Heartbeat {
        worker: WorkerId,
        held: Vec<Ticket>,
    },
    Cancel(RunId, String),
    Retry(RunId),
    Delete(RunId),
    Complete(About, Option<Value>),
    Fail(About, String),
    HandOff(RunId),
    Reschedule(RunId, Time),
    SetAttributes(RunId, Value),
    SetRetryAfter(RunId, Option<Time>),
    SetPaused(&'static str, bool),
    Prune(ProgramState, &'static str),
    /// To all programs of a queue; of a retry, to those without a key.
    Bulk(BulkVerb, &'static str),
    Register(WorkerId),
    Deregister(WorkerId),
}

impl Operation {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Claim(_) => "claim",
            Self::Commit(_) => "commit",
            Self::CommitIn { .. } => "commit_in",
            Self::WasWritten(_) => "was_written",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Cancel(..) => "cancel",
            Self::Retry(_) => "retry",
            Self::Delete(_) => "delete",
            Self::Complete(..) => "complete",
            Self::Fail(..) => "fail",
            Self::HandOff(_) => "hand_off",
            Self::Reschedule(..) => "reschedule",
            Self::SetAttributes(..) => "set_attributes",
            Self::SetRetryAfter(..) => "set_retry_after",
            Self::SetPaused(..) => "set_paused",
            Self::Prune(..) => "prune",
            Self::Bulk(BulkVerb::Cancel, _) => "cancel_all",
            Self::Bulk(BulkVerb::Retry, _) => "retry_all",
            Self::Bulk(BulkVerb::Delete, _) => "delete_all",
            Self::Register(_) => "register",
            Self::Deregister(_) => "deregister",
        }
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// The run ids, and whether they were there before.
    Created(Vec<(RunId, bool)>),
    Claimed {
        programs: Vec<Taken>,
        /// In any order.
        killed: Vec<(RunId, Failed)>,
        more: bool,
    },
    Written(Vec<Written>),
    WasWritten(Option<Written>),
    Pulses(Vec<Pulse>),
    Done(bool),
    /// So many programs.
    Many(usize),
    /// The kind of the error, and its text; of the model's, a part of it.
    Refused(ErrorKind, String),
}

impl Answer {
    /// Whether a store may answer so where the model answers this.
    pub(super) fn allows(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::Refused(kind, part), Self::Refused(found, text)) => {
                kind == found && text.contains(part)
            }
            (
                Self::Claimed {
                    programs,
                    killed,
                    more,
                },
                Self::Claimed {
                    programs: found,
                    killed: found_killed,
                    more: found_more,
                },
            ) => {
                // A store may look once too often, but not leave what is due behind.
                programs == found && killed == found_killed && (*found_more || !*more)
            }
            (this, found) => this == found,
        }
    }
}

/// A claimed program.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) run_id: RunId,
    pub(super) job: String,
    pub(super) jobs: Vec<String>,
    pub(super) program_data: Value,
    pub(super) job_data: Value,
    pub(super) outputs: Value,
    pub(super) step: usize,
    pub(super) retries: u32,
    pub(super) ordinal: u32,
    pub(super) suspect: bool,
}
