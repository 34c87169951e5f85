//! Places under limits over all workers.
//!
//! A running program has at most one, and gives it back when the body that it was for has ended,
//! however that came. Places are given back together by a task of its own, which tries again until the
//! store has taken them: what can't be given back ends by itself a little after the lease would.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::outage::{Outage, Trade};
use crate::{
    retry::back_off,
    store::{Hold, Store},
};

/// Places given back in one transaction at most.
const MOST: usize = 200;

/// How many places this worker has.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<AtomicUsize>);

impl Taken {
    /// Whether there is one, whose end is to be put off.
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

/// The places that this worker has.
#[derive(Clone)]
pub(super) struct Places {
    taken: Taken,
    ended: mpsc::UnboundedSender<Hold>,
}

impl Places {
    /// And where those come that are to be given back.
    pub(super) fn new(taken: Taken) -> (Self, mpsc::UnboundedReceiver<Hold>) {
        let (ended, endings) = mpsc::unbounded_channel();
        (Self { taken, ended }, endings)
    }

    /// A place that the store has given.
    pub(super) fn take(&self, hold: Hold) -> Place {
        self.taken.0.fetch_add(1, Ordering::AcqRel);
        Place {
            hold: Some(hold),
            places: self.clone(),
        }
    }
}

/// A place under a limit; given back when it is dropped.
pub(super) struct Place {
    hold: Option<Hold>,
    places: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.0.fetch_sub(1, Ordering::AcqRel);
        if let Some(hold) = self.hold.take() {
            // Nobody takes it when the worker has given up on the store: it ends by itself.
            let _ = self.places.ended.send(hold);
        }
    }
}

/// Gives back what has ended, until the worker has.
pub(super) async fn give_back(
    store: Arc<dyn Store>,
    outage: Arc<Outage>,
    given_up: CancellationToken,
    mut ended: mpsc::UnboundedReceiver<Hold>,
) {
    let mut holds = Vec::new();
    while ended.recv_many(&mut holds, MOST).await > 0 {
        let mut failed = 0;
        while let Err(error) = store.release(holds.clone()).await {
            outage.begins(Trade::Limits, &error);
            failed += 1;
            tokio::select! {
                () = tokio::time::sleep(back_off(failed)) => {}
                () = given_up.cancelled() => return,
            }
        }
        outage.is_over(Trade::Limits);
        holds.clear();
    }
}
