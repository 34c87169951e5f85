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
    pub(crate) retry_after: Option<Duration>,
    pub(crate) attributes: Option<Result<Box<RawValue>, DataError>>,
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
