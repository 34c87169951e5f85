//! Places under limits over all workers.
//!
//! A running program has at most one, and gives it back when the body that it was for has ended,
//! however that came. Places are given back together by a task of its own, which tries again until the
//! store has taken them: what can't be given back ends by itself a little after the lease would.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::outage::{Outage, Trade};
use crate::{
    retry::back_off,
    store::{Held, Hold, Store},
};

/// Places given back in one transaction at most.
const MOST: usize = 200;

/// Which programs of this worker have a place.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<Mutex<HashSet<Held>>>);

impl Taken {
    fn all(&self) -> MutexGuard<'_, HashSet<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn to_vec(&self) -> Vec<Held> {
        self.all().iter().copied().collect()
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
        self.taken.all().insert(hold.held());
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
        if let Some(hold) = self.hold.take() {
            self.places.taken.all().remove(&hold.held());
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
