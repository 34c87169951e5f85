//! How long ended programs are kept.

use std::{collections::BTreeMap, time::Duration};

use super::duration;
use crate::error::Result;

/// How long ended programs are kept; `None`: for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retention {
    pub(crate) finished: Keep,
    pub(crate) errored: Keep,
}

/// How long programs that ended in one state are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keep {
    pub(crate) age: Option<Duration>,
    /// Queues that have a time of their own.
    pub(crate) queues: BTreeMap<String, Option<Duration>>,
}

impl Keep {
    pub(crate) fn of(&self, queue: &str) -> Option<Duration> {
        self.queues.get(queue).copied().unwrap_or(self.age)
    }

    /// All times after which something is deleted.
    pub(crate) fn ages(&self) -> impl Iterator<Item = Duration> {
        self.queues.values().copied().chain([self.age]).flatten()
    }
}

/// How long to keep, as people write it.
pub(crate) fn keep(text: &str) -> Result<Option<Duration>> {
    match text {
        "forever" => Ok(None),
        text => duration(text).map(Some),
    }
}
