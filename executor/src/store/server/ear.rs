//! How a worker hears that something may be due.
//!
//! A change in this process is heard at once. Other processes are told after the commit, by one
//! message for all that has happened in the meantime; a message that is lost costs the time of the
//! slow poll, and nothing else.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use super::{Begin, Database, Inner, Whose, verb};
use crate::store::Listener;

/// At most one message to other processes in this time.
const RING_EVERY: Duration = Duration::from_millis(5);

/// The right to tell other processes, and the duty to tell them what has happened in the meantime.
pub(super) struct Turn<D: Database>(Option<Arc<Inner<D>>>);

impl<D: Database> Turn<D> {
    fn tell(mut self) {
        if let Some(store) = self.0.take() {
            tokio::spawn(async move { store.bell.tell(&store).await });
        }
    }

    /// They were told just now, of what there is.
    pub(super) fn was_told(mut self) {
        if let Some(store) = self.0.take() {
            raise(&store.bell.changes);
            tokio::spawn(async move {
                tokio::time::sleep(RING_EVERY).await;
                store.bell.tell(&store).await;
            });
        }
    }
}

impl<D: Database> Drop for Turn<D> {
    fn drop(&mut self) {
        let Some(store) = self.0.take() else {
            return;
        };
        store.bell.telling.store(false, Ordering::Release);
        // What others have left to whoever had the turn.
        let left = store.bell.news.load(Ordering::Acquire);
        if let (true, Ok(runtime)) = (left, tokio::runtime::Handle::try_current())
            && !store.bell.telling.swap(true, Ordering::AcqRel)
        {
            runtime.spawn(async move { store.bell.tell(&store).await });
        }
    }
}

/// Rings in this process, and asks for it to be heard elsewhere.
pub(in crate::store) struct Bell {
    changes: watch::Sender<u64>,
    /// Whether something has happened that the others have not been told.
    news: AtomicBool,
    /// Whether somebody is telling them.
    telling: AtomicBool,
}

impl Default for Bell {
    fn default() -> Self {
        Self {
            changes: watch::Sender::new(0),
            news: AtomicBool::new(false),
            telling: AtomicBool::new(false),
        }
    }
}

impl Bell {
    /// How often it has rung.
    pub(super) fn count(&self) -> u64 {
        *self.changes.borrow()
    }

    pub(super) fn ring<D: Database>(&self, store: &Arc<Inner<D>>) {
        raise(&self.changes);
        self.news.store(true, Ordering::Release);
        if let Some(turn) = self.turn(store) {
            turn.tell();
        }
    }

    /// The turn to tell the others, where nobody has it.
    pub(super) fn turn<D: Database>(&self, store: &Arc<Inner<D>>) -> Option<Turn<D>> {
        let free = !self.telling.swap(true, Ordering::AcqRel);
        free.then(|| Turn(Some(Arc::clone(store))))
    }

    /// Tells the others, until there is no news.
    async fn tell<D: Database>(&self, store: &Arc<Inner<D>>) {
        loop {
            while self.news.swap(false, Ordering::AcqRel) {
                let told = verb!(store, others, Alone, store.deadline, |s| D::ring(
                    s,
                    store,
                    Whose::Ours
                ));
                if let Err(error) = told {
                    tracing::debug!(%error, "other workers will find by themselves what is due");
                }
                tokio::time::sleep(RING_EVERY).await;
            }
            self.telling.store(false, Ordering::Release);
            // What has come in between nobody would tell.
            if !self.news.load(Ordering::Acquire) || self.telling.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }

    /// An ear of this process, which hears the others too as long as it is there.
    pub(super) fn listener<D: Database>(&self, store: &Arc<Inner<D>>) -> Ear {
        Ear {
            changes: self.changes.subscribe(),
            hearing: tokio::spawn(D::hear(Arc::clone(store), self.changes.clone())),
            slow_poll: D::SLOW_POLL,
        }
    }
}

fn raise(changes: &watch::Sender<u64>) {
    changes.send_modify(|count| *count = count.wrapping_add(1));
}

pub(super) struct Ear {
    changes: watch::Receiver<u64>,
    hearing: JoinHandle<()>,
    slow_poll: Duration,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

impl Listener for Ear {
    fn mark(&mut self) {
        self.changes.mark_unchanged();
    }

    fn slow_poll(&self) -> Duration {
        self.slow_poll
    }

    fn changed(&mut self, at_most: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            // An error would say that the store is gone, which has this ear.
            let _ = tokio::time::timeout(at_most, self.changes.changed()).await;
        })
    }
}
