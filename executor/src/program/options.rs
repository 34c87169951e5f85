//! When, where and how a program runs.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Erase, IntoProgram};
use crate::{
    json::{self, DataError},
    time::Timestamp,
};

/// What the verbs of [`ProgramExt`] set.
#[derive(Debug, Default)]
pub struct Options {
    pub(crate) name: Option<Box<str>>,
    pub(crate) queue: Option<Box<str>>,
    pub(crate) priority: i32,
    pub(crate) start: Start,
    pub(crate) unique_key: Option<Box<str>>,
    /// Whether the one that has the key, and waits, takes this one's data and time.
    pub(crate) replace: bool,
    pub(crate) unique_for: Option<UniqueFor>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) attributes: Option<Result<Box<RawValue>, DataError>>,
}

/// A key of which one program is created within a time.
#[derive(Clone, Debug)]
pub(crate) struct UniqueFor {
    pub(crate) key: Box<str>,
    pub(crate) period: Duration,
}

impl Options {
    /// Whether it may be another program that stands for this one.
    pub(crate) fn is_keyed(&self) -> bool {
        self.unique_key.is_some() || self.unique_for.is_some()
    }
}

/// When a program is first due.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Start {
    #[default]
    Now,
    At(Timestamp),
    /// By the database's clock at its creation.
    After(Duration),
}

/// The verbs of everything that is a program.
///
/// ```
/// use std::time::Duration;
/// use executor::prelude::*;
///
/// #[job]
/// async fn remind(customer: u64) -> Result<(), JobError> {
///     println!("reminding {customer}");
///     Ok(())
/// }
///
/// let program = Remind { customer: 7 }
///     .queue("mail")
///     .priority(-5)
///     .run_after(Duration::from_secs(24 * 3600))
///     .unique("customer:7");
/// # let _ = program;
/// ```
pub trait ProgramExt: IntoProgram {
    /// The queue whose workers run it; `default` unless said otherwise.
    fn queue(self, queue: impl Into<String>) -> Self::Typed {
        with(self, |options| options.queue = Some(queue.into().into()))
    }

    /// A name to find it by; `#[program]` sets its own.
    fn named(self, name: impl Into<String>) -> Self::Typed {
        with(self, |options| options.name = Some(name.into().into()))
    }

    /// Lower runs first. One step of priority is worth a minute of waiting, so that nothing
    /// waits for ever.
    fn priority(self, priority: i32) -> Self::Typed {
        with(self, |options| options.priority = priority)
    }

    /// Not before this instant, by the database's clock.
    fn run_at(self, time: SystemTime) -> Self::Typed {
        with(self, |options| options.start = Start::At(time.into()))
    }

    /// Not before this time has passed since its creation, by the database's clock.
    fn run_after(self, delay: Duration) -> Self::Typed {
        with(self, |options| options.start = Start::After(delay))
    }

    /// At most one unfinished program has this key: creating another returns the first one's run
    /// id.
    fn unique(self, key: impl Into<String>) -> Self::Typed {
        with(self, |options| options.unique_key = Some(key.into().into()))
    }

    /// Where the program that has the [`unique`](ProgramExt::unique) key has not begun, and waits
    /// for its time or for a free slot, this one takes its place under its run id: with its jobs, its
    /// data, its queue and its time. So only the last of many creations counts (a debounce). One that
    /// has begun stays as it is, and [`Created::replaced`](crate::Created::replaced) tells which
    /// happened.
    ///
    /// ```
    /// use std::time::Duration;
    /// use executor::prelude::*;
    ///
    /// #[job]
    /// async fn index(document: u64, revision: u64) -> Result<(), JobError> {
    ///     println!("indexing {document} as of {revision}");
    ///     Ok(())
    /// }
    ///
    /// /// Indexes a document when it was left alone for 30 seconds.
    /// async fn saved(executor: &Executor, document: u64, revision: u64) -> executor::Result<()> {
    ///     Index { document, revision }
    ///         .run_after(Duration::from_secs(30))
    ///         .unique(format!("index:{document}"))
    ///         .replace()
    ///         .create(executor)
    ///         .await?;
    ///     Ok(())
    /// }
    /// # let _ = saved;
    /// ```
    fn replace(self) -> Self::Typed {
        with(self, |options| options.replace = true)
    }

    /// At most one program of this key is created within the time, by the database's clock, whatever
    /// becomes of it: creating another returns the first one's run id, also when that has ended or is
    /// deleted. These keys are apart from those of [`unique`](ProgramExt::unique), and a program has
    /// one kind of them.
    fn unique_for(self, key: impl Into<String>, period: Duration) -> Self::Typed {
        with(self, |options| {
            let key = key.into().into();
            options.unique_for = Some(UniqueFor { key, period });
        })
    }

    /// A program that was handed off comes back to its queue after this time.
    fn retry_after(self, delay: Duration) -> Self::Typed {
        with(self, |options| options.retry_after = Some(delay))
    }

    /// Data about the program, for people; jobs do not see it. Must be an object.
    fn attributes(self, attributes: impl Serialize) -> Self::Typed {
        with(self, |options| {
            options.attributes = Some(json::write(&attributes));
        })
    }
}

impl<P: IntoProgram> ProgramExt for P {}

fn with<P: IntoProgram>(program: P, change: impl FnOnce(&mut Options)) -> P::Typed {
    let mut typed = program.into_program();
    change(typed.options());
    typed
}
