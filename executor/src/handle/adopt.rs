//! Programs that were shared with program-executor, and whose messages are lost.

use std::time::Duration;

use super::Executor;
use crate::{
    broker::{QueueHolds, QueueLook},
    error::{Error, ErrorKind, Result},
    store::Orphans,
};

/// Which programs are adopted: [`Executor::adopt`].
///
/// ```
/// use std::time::Duration;
/// use executor::Adopt;
///
/// const DAY: Duration = Duration::from_secs(24 * 3600);
/// let look_only = Adopt::older_than(DAY).dry_run();
/// # let _ = look_only;
/// ```
#[derive(Clone, Debug)]
pub struct Adopt {
    older_than: Duration,
    dry_run: bool,
    only_ours: bool,
}

impl Adopt {
    /// Programs that nothing has happened to for so long.
    pub fn older_than(age: Duration) -> Self {
        Self {
            older_than: age,
            dry_run: false,
            only_ours: false,
        }
    }

    /// Only counts them.
    pub fn dry_run(self) -> Self {
        Self {
            dry_run: true,
            ..self
        }
    }

    /// Vouches for it that no worker of program-executor hears the queues: RabbitMQ does not tell whose its
    /// consumers are. Without it, there may be none at all.
    pub fn consumers_are_ours(self) -> Self {
        Self {
            only_ours: true,
            ..self
        }
    }
}

impl Executor {
    /// Takes programs into the store that were handed to RabbitMQ, as program-executor does it, and whose
    /// messages are lost: its queues are not durable, and where RabbitMQ was restarted nobody runs them any
    /// more. They go on from the step at which they are. How many they were.
    ///
    /// It can't be seen of a program whether its message is lost or somebody is at it. So the queues have to
    /// be empty, and without consumers of program-executor's; where several of them share the table, all have to
    /// be among the queues of this handle.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn test(executor: executor::Executor) -> executor::Result<()> {
    /// use executor::Adopt;
    ///
    /// let adopted = executor.adopt(Adopt::older_than(Duration::from_secs(3600))).await?;
    /// println!("{adopted} programs go on");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Programs are not shared with program-executor, the queues hold messages or are heard, or one of the
    /// two servers is away; what was adopted before stays so.
    pub async fn adopt(&self, adopt: Adopt) -> Result<usize> {
        let config = &self.0.config;
        if config.interop.is_none() {
            return Err(Error::new(
                ErrorKind::Configuration,
                "only programs that are shared with program-executor can be adopted; set \
                 EXECUTOR_INTEROP=program-executor",
            ));
        }
        let queues = config.worker.names().collect::<Vec<_>>();
        if !adopt.dry_run {
            let own = match adopt.only_ours {
                true => self.workers().await?.len(),
                false => 0,
            };
            for queue in self.0.broker.look(&queues).await? {
                quiet(&queue, own)?;
            }
        }
        let orphans = Orphans {
            older_than: adopt.older_than,
            queues,
            dry_run: adopt.dry_run,
        };
        let (mut number, mut floor) = (0, i64::MIN);
        loop {
            let batch = self.store().adopt(orphans.clone(), floor).await?;
            number += batch.run_ids.len();
            if !adopt.dry_run {
                for run_id in &batch.run_ids {
                    tracing::info!(%run_id, "adopted");
                }
            }
            match batch.floor {
                Some(last) => floor = last,
                None => return Ok(number),
            }
        }
    }
}

/// Whether no program can be under way through this queue outside our own workers.
fn quiet(queue: &QueueLook, own: usize) -> Result<()> {
    let QueueLook { name, holds } = queue;
    let Some(QueueHolds {
        messages,
        consumers,
    }) = holds
    else {
        return Ok(());
    };
    let refuse = |text: String| Err(Error::new(ErrorKind::Conflict, text));
    if *messages > 0 {
        return refuse(format!(
            "the queue {name:?} holds {messages} messages: their programs are not lost; wait until workers \
             have taken them"
        ));
    }
    if usize::try_from(*consumers).unwrap_or(usize::MAX) > own {
        return refuse(format!(
            "the queue {name:?} is heard by {consumers}, who may be at its programs; stop the workers of \
             program-executor{}",
            if own == 0 {
                ", and then either Executor's as well, or say that those that are left are Executor's \
                 (--consumers-are-ours)"
            } else {
                ": Executor itself has fewer live workers"
            }
        ));
    }
    Ok(())
}
