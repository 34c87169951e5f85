//! `work`: takes programs from the store and runs their jobs.

use std::num::NonZeroUsize;

use crate::handle::Builder;

/// Run programs until SIGTERM or Ctrl-C (what happens without a command, too)
#[derive(clap::Args, Default)]
pub(super) struct Work {
    /// The queues to work, with commas or repeated; before EXECUTOR_QUEUE
    #[arg(long = "queue", value_name = "QUEUES", value_delimiter = ',')]
    queues: Vec<String>,
    /// How many programs run at once; before EXECUTOR_SLOTS
    #[arg(long, value_name = "N")]
    slots: Option<NonZeroUsize>,
}

impl Work {
    pub(super) fn apply(self, mut builder: Builder) -> Builder {
        if !self.queues.is_empty() {
            builder = builder.queues(self.queues);
        }
        if let Some(slots) = self.slots {
            builder = builder.slots(slots.get());
        }
        builder
    }
}
