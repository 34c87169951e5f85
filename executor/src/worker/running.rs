//! The programs that this worker runs, as the heartbeat needs them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use super::decide::Cause;
use crate::store::{Fence, Held};

/// All programs under a claim of this worker.
#[derive(Default)]
pub(super) struct Running(Mutex<HashMap<i64, Arc<Lease>>>);

/// A claim as this worker counts it, on its own monotonic clock from before the claim or
/// heartbeat was sent.
pub(super) struct Lease {
    pub(super) held: Held,
    state: Mutex<LeaseState>,
}

struct LeaseState {
    until: Instant,
    cause: Option<Cause>,
    /// Of the body that runs now.
    body: CancellationToken,
}

impl Running {
    fn all(&self) -> MutexGuard<'_, HashMap<i64, Arc<Lease>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, fence: Fence, until: Instant) -> Arc<Lease> {
        let held = Held {
            id: fence.id,
            token: fence.token,
        };
        let state = LeaseState {
            until,
            cause: None,
            body: CancellationToken::new(),
        };
        let lease = Arc::new(Lease {
            held,
            state: Mutex::new(state),
        });
        let replaced = self.all().insert(fence.id, Arc::clone(&lease));
        if let Some(replaced) = replaced {
            replaced.interrupt(Cause::LeaseLost);
        }
        lease
    }

    /// Forgets a program; a later claim of it is another one, and stays.
    pub(super) fn remove(&self, held: Held) {
        let mut all = self.all();
        if all.get(&held.id).is_some_and(|lease| lease.held == held) {
            all.remove(&held.id);
        }
    }

    pub(super) fn leases(&self) -> Vec<Arc<Lease>> {
        self.all().values().map(Arc::clone).collect()
    }
}

impl Lease {
    fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extend(&self, until: Instant) {
        let mut state = self.state();
        state.until = state.until.max(until);
    }

    /// When it ends without another heartbeat.
    pub(super) fn until(&self) -> Instant {
        self.state().until
    }

    /// Asks the running body to end; the first cause counts.
    pub(super) fn interrupt(&self, cause: Cause) {
        let mut state = self.state();
        state.cause.get_or_insert(cause);
        state.body.cancel();
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        self.state().cause
    }

    /// The token of the next body; cancelled already where the program is to end.
    pub(super) fn begin_body(&self) -> CancellationToken {
        let mut state = self.state();
        if state.cause.is_none() && state.body.is_cancelled() {
            state.body = CancellationToken::new();
        }
        state.body.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_claim_does_not_remove_a_newer_one() {
        let running = Running::default();
        let fence = |token| Fence {
            id: 1,
            token,
            rev: 0,
        };
        let old = running.add(fence(1), Instant::now());
        running.add(fence(2), Instant::now());
        running.remove(old.held);
        assert_eq!(running.leases().len(), 1);
    }

    #[test]
    fn the_first_cause_counts() {
        let running = Running::default();
        let lease = running.add(
            Fence {
                id: 1,
                token: 1,
                rev: 0,
            },
            Instant::now(),
        );
        lease.interrupt(Cause::Stopped);
        lease.interrupt(Cause::Shutdown);
        assert_eq!(lease.cause(), Some(Cause::Stopped));
        assert!(lease.begin_body().is_cancelled());
    }
}
