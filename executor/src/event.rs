//! What happens in this process's workers, as it happens.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::sync::broadcast;

use crate::run_id::RunId;

/// Something that a worker of this process did or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A job's body starts.
    Started {
        /// Its program.
        run_id: RunId,
        /// Its step.
        step: usize,
        /// Its name.
        job: String,
        /// From 1 on.
        attempt: u32,
    },
    /// A step is done and durable.
    StepDone {
        /// Its program.
        run_id: RunId,
        /// Its step.
        step: usize,
        /// Its name.
        job: String,
    },
    /// A job failed, and is tried again.
    Retrying {
        /// Its program.
        run_id: RunId,
        /// Its step.
        step: usize,
        /// Its name.
        job: String,
        /// The attempt that failed.
        attempt: u32,
        /// Its error.
        error: String,
        /// When it comes back.
        after: Duration,
    },
    /// A program has finished.
    Finished {
        /// The program.
        run_id: RunId,
    },
    /// A program ended as errored. Ignorable errors raise no event.
    Errored {
        /// The program.
        run_id: RunId,
        /// The step that failed.
        step: usize,
        /// Its job.
        job: String,
        /// The error.
        error: String,
    },
    /// The reader was too slow, and missed so many events.
    Missed(u64),
}

pub(crate) type ErrorHook = Arc<dyn Fn(&Event) + Send + Sync>;

/// Where events are raised.
pub(crate) struct Events {
    sender: broadcast::Sender<Event>,
    on_error: Vec<ErrorHook>,
}

impl Events {
    pub(crate) fn new(on_error: Vec<ErrorHook>) -> Self {
        // Readers are bounded: the slow one gets a counted gap.
        Self {
            sender: broadcast::Sender::new(1024),
            on_error,
        }
    }

    /// Raises an event; it is not even made where nobody listens.
    pub(crate) fn raise(&self, event: impl FnOnce() -> Event) {
        if self.sender.receiver_count() == 0 && self.on_error.is_empty() {
            return;
        }
        let event = event();
        if matches!(event, Event::Errored { .. }) {
            for hook in &self.on_error {
                // A hook that panics must not take a worker's task with it.
                if catch_unwind(AssertUnwindSafe(|| hook(&event))).is_err() {
                    tracing::error!("the hook for program errors panicked");
                }
            }
        }
        // Nobody listening is no error.
        let _ = self.sender.send(event);
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        EventStream(self.sender.subscribe())
    }
}

/// The events of this process's workers, from the moment of its making on.
pub struct EventStream(broadcast::Receiver<Event>);

impl EventStream {
    /// The next event; `None` when the executor is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
