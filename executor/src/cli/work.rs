//! `work`: takes programs from the store and runs their jobs.

use std::num::NonZeroUsize;

use crate::handle::Builder;

/// Run programs until SIGTERM or Ctrl-C (what happens without a command, too)
#[derive(clap::Args, Default)]
pub(super) struct Work {
    /// The queues to work, with commas or repeated; `mail:10` has 10 slots of its own; before
    /// EXECUTOR_QUEUE
    #[arg(long = "queue", value_name = "QUEUES", value_delimiter = ',')]
    queues: Vec<String>,
    /// How many programs run at once of the queues without slots of their own; before EXECUTOR_SLOTS
    #[arg(long, value_name = "N")]
    slots: Option<NonZeroUsize>,
}

impl Work {
    pub(super) fn apply(self, mut builder: Builder) -> Builder {
        if !self.queues.is_empty() {
            builder = builder.queue_list(self.queues);
        }
        if let Some(slots) = self.slots {
            builder = builder.slots(slots.get());
        }
        builder
    }
}
