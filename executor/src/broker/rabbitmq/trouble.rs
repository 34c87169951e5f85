//! What is said of a RabbitMQ that can't be used: one word when it begins, and one when it is over.
//!
//! Each connection finds out by itself, and is tried again; the first one tells, and the last one for
//! which all is well again. Of a queue it is told by its name.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What does not work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Announcing,
    Hearing,
    Queue(String),
}

#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<BTreeSet<Part>>);

impl Trouble {
    fn parts(&self) -> MutexGuard<'_, BTreeSet<Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It does not work, and is tried again.
    pub(super) fn begins(&self, part: Part, error: &dyn fmt::Display) {
        let mut parts = self.parts();
        let other = parts.iter().any(Part::is_connection);
        let queue = part.queue().map(str::to_owned);
        let is_news = parts.insert(part);
        drop(parts);
        match queue {
            Some(queue) if is_news => tracing::warn!(
                %error, queue,
                "a queue of RabbitMQ can't be used; its programs go on straight from the store"
            ),
            None if is_news && !other => tracing::warn!(
                %error, "RabbitMQ can't be used now; programs go on straight from the store"
            ),
            _ => tracing::debug!(%error, "RabbitMQ still can't be used"),
        }
    }

    /// It works.
    pub(super) fn is_over(&self, part: &Part) {
        let mut parts = self.parts();
        let is_news = parts.remove(part);
        let other = parts.iter().any(Part::is_connection);
        drop(parts);
        match part.queue() {
            Some(queue) if is_news => tracing::info!(queue, "the queue can be used again"),
            None if is_news && !other => tracing::info!("RabbitMQ can be used again"),
            _ => {}
        }
    }
}

impl Part {
    fn queue(&self) -> Option<&str> {
        match self {
            Self::Queue(name) => Some(name),
            Self::Announcing | Self::Hearing => None,
        }
    }

    fn is_connection(&self) -> bool {
        self.queue().is_none()
    }
}
