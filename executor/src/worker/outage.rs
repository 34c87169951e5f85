//! What is said of a store that can't be used: one word when it begins, and one when it is over.
//!
//! Each trade of a worker finds out by itself, and goes on trying; the first one tells, and the last
//! one for which the store is well again.

use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::Error;

/// Who uses the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trade {
    Registration = 1,
    Claims = 2,
    Commits = 4,
    Heartbeats = 8,
    Limits = 16,
    Pruning = 32,
    Schedules = 64,
    Waits = 128,
    Rescues = 256,
}

impl Trade {
    fn trouble(self) -> &'static str {
        match self {
            Self::Registration => "the worker can't be registered",
            Self::Claims => "programs can't be claimed",
            Self::Commits => "steps can't be recorded",
            Self::Heartbeats => "leases can't be extended",
            Self::Limits => "places under limits can't be given back",
            Self::Pruning => "old programs can't be deleted",
            Self::Schedules => "schedules can't be looked at",
            Self::Waits => "programs that wait for others can't go on",
            Self::Rescues => "leases that end too far ahead can't be looked for",
        }
    }
}

/// For whom the store is away, as bits.
#[derive(Debug, Default)]
pub(super) struct Outage(AtomicU16);

impl Outage {
    /// The store is away for this trade, which tries again.
    pub(super) fn begins(&self, trade: Trade, error: &Error) {
        let before = self.0.fetch_or(trade as u16, Ordering::AcqRel);
        if before == 0 {
            tracing::warn!(%error, "{} now; trying again", trade.trouble());
        } else if before & trade as u16 == 0 {
            tracing::debug!(%error, "{} either", trade.trouble());
        }
    }

    /// The store is well for this trade.
    pub(super) fn is_over(&self, trade: Trade) {
        // Mostly it was.
        if self.0.load(Ordering::Acquire) & trade as u16 == 0 {
            return;
        }
        if self.0.fetch_and(!(trade as u16), Ordering::AcqRel) == trade as u16 {
            tracing::info!("the store can be used again");
        }
    }
}
