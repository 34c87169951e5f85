//! `adopt`: what is left of programs that were shared with program-executor.

use std::time::Duration;

use super::{data, terminal::print};
use crate::{
    error::Result,
    handle::{self, Executor},
};

/// Take over programs shared with program-executor whose messages are lost
///
/// Its queues do not survive a restart of RabbitMQ, and a row does not show whether its message is lost. So it
/// is refused while the queues hold messages, or somebody hears them. Where several of its queues share the table,
/// EXECUTOR_QUEUE has to name all of them.
#[derive(clap::Args)]
pub(super) struct Adopt {
    /// Those that nothing has happened to for so long, like 12h: longer than their jobs take
    #[arg(long, value_name = "DURATION", value_parser = data::duration)]
    older_than: Duration,
    /// No worker of program-executor hears the queues: all that do are Executor's
    #[arg(long)]
    consumers_are_ours: bool,
    /// Only tell how many they are
    #[arg(long)]
    dry_run: bool,
}

impl Adopt {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let mut adopt = handle::Adopt::older_than(self.older_than);
        if self.consumers_are_ours {
            adopt = adopt.consumers_are_ours();
        }
        if self.dry_run {
            let number = executor.adopt(adopt.dry_run()).await?;
            print(&format!("{number} would be adopted\n"))?;
        } else {
            let adopted = executor.adopt(adopt).await?;
            print(&format!("{adopted} adopted\n"))?;
        }
        Ok(())
    }
}
