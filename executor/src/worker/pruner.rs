//! The pruner: ended programs that are kept no longer go, and keys of the past are forgotten.
//!
//! It promises that only programs that have ended are deleted, and none before its time, by the
//! database's clock. It does not promise to be quick: it goes queue by queue, the oldest first, in small
//! batches, and rests ten times as long as a batch took, so that it never competes with work. What it
//! costs depends on what is to go, not on what is kept. Several workers don't get into each other's way:
//! what one deletes, the others leave out. When the store is away, or a worker is killed half way, the
//! batches before are done, and the next round goes on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::outage::{Outage, Trade};
use crate::{
    config::{Keep, Retention},
    error::Result,
    store::{Ended, ProgramState, Store},
};

/// Programs or keys of one batch.
const BATCH: usize = 1000;

/// The pause between two batches at least.
const REST: Duration = Duration::from_millis(50);

pub(super) struct Pruner {
    pub(super) store: Arc<dyn Store>,
    pub(super) retention: Retention,
    pub(super) outage: Arc<Outage>,
}

impl Pruner {
    /// Goes its rounds until it is aborted, which leaves no batch half done.
    pub(super) async fn run(self) {
        let pause = self.pause();
        loop {
            match self.round().await {
                Ok(()) => self.outage.is_over(Trade::Pruning),
                Err(error) => self.outage.begins(Trade::Pruning, &error),
            }
            // Not all workers at the same moment.
            tokio::time::sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        }
    }

    /// Between two rounds: a tenth of the shortest time, and a minute at most.
    fn pause(&self) -> Duration {
        let Retention { finished, errored } = &self.retention;
        let shortest = finished.ages().chain(errored.ages()).min();
        let tenth = shortest.map_or(Duration::MAX, |age| age / 10);
        tenth.clamp(Duration::from_secs(1), Duration::from_secs(60))
    }

    async fn round(&self) -> Result<()> {
        let Retention { finished, errored } = &self.retention;
        let kept = [
            (ProgramState::Finished, finished),
            (ProgramState::Errored, errored),
        ];
        for (state, keep) in kept {
            if keep.ages().next().is_some() {
                self.prune(state, keep).await?;
            }
        }
        self.batches(|| self.store.clear_unique(BATCH))
            .await
            .map(drop)
    }

    async fn prune(&self, state: ProgramState, keep: &Keep) -> Result<()> {
        let mut last = String::new();
        while let Some(queue) = self.store.queue_of_ended(state, last).await? {
            if let Some(age) = keep.of(&queue) {
                let ended = Ended {
                    state,
                    queue: queue.clone(),
                    age,
                };
                let pruned = self
                    .batches(|| self.store.prune(ended.clone(), BATCH))
                    .await?;
                if pruned > 0 {
                    tracing::debug!(pruned, queue, %state, "deleted programs that had ended");
                }
            }
            last = queue;
        }
        Ok(())
    }

    /// One batch after the other, as long as they are full.
    async fn batches<'a>(
        &'a self,
        mut batch: impl FnMut() -> crate::store::StoreFuture<'a, usize>,
    ) -> Result<usize> {
        let mut all = 0;
        loop {
            let began = Instant::now();
            let done = batch().await?;
            all += done;
            if done < BATCH {
                return Ok(all);
            }
            tokio::time::sleep(began.elapsed().mul_f64(10.0).max(REST)).await;
        }
    }
}
