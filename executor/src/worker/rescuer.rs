//! The rescuer: leases that end further ahead than any worker's lease count as one lease from first sight
//! (SEMANTICS §2.5).
//!
//! A database whose clock was set back, or a replica with a slower one that took over, has such ends: the
//! live workers' next heartbeats mend theirs, and those of the dead would be waited for as far ahead as they
//! are. It promises that each is seen by the first look behind it: at a worker's start, and then now and
//! then; the more workers there are, the more seldom each looks, since one that sees it is enough. A look
//! changes nothing elsewhere, takes no lock, and reads no program that is scheduled. A receiver's lease, or one
//! that was taken away, may be as long as a receiver's can be, and is waited for that long. Where the store is
//! away, the next look goes on.

use std::{sync::Arc, time::Duration};

use super::outage::{Outage, Trade};
use crate::{error::Result, store::Store};

/// The leases between two looks of all workers together.
const EVERY: u32 = 4;

/// The pause of one worker at most.
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) struct Rescuer {
    pub(super) store: Arc<dyn Store>,
    pub(super) lease: Duration,
    pub(super) grace: Duration,
    pub(super) outage: Arc<Outage>,
}

impl Rescuer {
    /// Looks until it is aborted, which leaves nothing half done.
    pub(super) async fn run(self) {
        loop {
            let workers = match self.look().await {
                Ok(workers) => {
                    self.outage.is_over(Trade::Rescues);
                    workers
                }
                Err(error) => {
                    self.outage.begins(Trade::Rescues, &error);
                    1
                }
            };
            let pause = self.lease.saturating_mul(EVERY.saturating_mul(workers));
            let pause = pause.min(LONGEST);
            // Not all workers at the same moment.
            tokio::time::sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }

    /// Looks; how many workers there are to do it.
    async fn look(&self) -> Result<u32> {
        let shortened = self.store.shorten_leases(self.grace).await?;
        if shortened > 0 {
            tracing::warn!(
                programs = shortened,
                "leases ended further ahead than any worker's lease: has the database's clock gone back?"
            );
        }
        let workers = self.store.workers().await?.len();
        Ok(u32::try_from(workers).unwrap_or(u32::MAX).max(1))
    }
}
