//! What a job may return as its error, and what the engine does then.

use std::{fmt, time::Duration};

use super::Awaited;
use crate::error::{BoxError, Chain, Error, ErrorKind};

/// Why a job did not succeed, and what is to happen then.
///
/// Plain `?` makes a *fatal* error of any [`std::error::Error`]; [`OrRetry`] and the functions here choose
/// otherwise. It is closed: nobody can add a way for a job to end.
///
/// | made by | what happens |
/// | --- | --- |
/// | `?`, [`fatal`](JobError::fatal) | the program ends as errored |
/// | [`retry`](JobError::retry), [`or_retry`](OrRetry::or_retry) | the same job again after its back-off, at most `max` times |
/// | [`retry_after`](JobError::retry_after) | the same, after this time |
/// | [`ignore`](JobError::ignore), [`or_ignore`](OrRetry::or_ignore) | the program ends as errored, and no event is raised |
/// | [`snooze`](JobError::snooze) | the same job again after this time, counted as no retry |
/// | [`hand_off`](JobError::hand_off) | the program waits for `complete` or `fail` from outside |
/// | [`ctx.start_and_wait`](crate::Context::start_and_wait) | another program starts, and this one goes on when that has ended |
///
/// ```
/// use executor::JobError;
///
/// let error = JobError::retry("the mail server is busy");
/// assert_eq!(error.to_string(), "the mail server is busy");
/// ```
pub struct JobError(Box<Reason>);

pub(crate) enum Reason {
    /// By plain `?`: the class of the error's own type decides, and fatal without one.
    Unclassified(BoxError),
    Fatal(BoxError),
    Retry {
        error: BoxError,
        after: Option<Duration>,
    },
    Ignore(BoxError),
    Snooze(Duration),
    HandOff,
    /// The step is done when this other program is.
    StartAndWait(Box<Awaited>),
    /// Saved progress; the program goes back to the queue.
    Checkpoint,
    /// The program was stopped while the job ran.
    Cancelled,
    /// Another claim has the program; nothing of this attempt counts any more.
    LeaseLost,
    /// The store could not take a write of this job.
    Store(BoxError),
    /// The body panicked: the message and its place.
    Panicked(String),
    TimedOut(Duration),
}

impl JobError {
    /// The program ends as errored.
    pub fn fatal(error: impl Into<BoxError>) -> Self {
        Self::new(Reason::Fatal(error.into()))
    }

    /// The same job again after its back-off; fatal when its retries are used up.
    pub fn retry(error: impl Into<BoxError>) -> Self {
        Self::new(Reason::Retry {
            error: error.into(),
            after: None,
        })
    }

    /// The same job again after `delay`; fatal when its retries are used up.
    pub fn retry_after(error: impl Into<BoxError>, delay: Duration) -> Self {
        Self::new(Reason::Retry {
            error: error.into(),
            after: Some(delay),
        })
    }

    /// The program ends as errored, quietly: no event is raised, and it is no alert.
    pub fn ignore(error: impl Into<BoxError>) -> Self {
        Self::new(Reason::Ignore(error.into()))
    }

    /// The same job again after `delay`, counted as no retry.
    pub fn snooze(delay: Duration) -> Self {
        Self::new(Reason::Snooze(delay))
    }

    /// The job is in another system's hands: the program waits until
    /// [`complete`](crate::Executor::complete) or [`fail`](crate::Executor::fail) is called for it,
    /// or its `retry_after` has passed.
    pub fn hand_off() -> Self {
        Self::new(Reason::HandOff)
    }

    /// Whether the job would run again: for tests of a job's errors.
    pub fn is_retryable(&self) -> bool {
        match &*self.0 {
            Reason::Unclassified(error) => {
                matches!(verdict_of(error), Verdict::Retry | Verdict::RetryAfterMs(_))
            }
            reason => matches!(reason, Reason::Retry { .. } | Reason::TimedOut(_)),
        }
    }

    pub(crate) fn new(reason: Reason) -> Self {
        Self(Box::new(reason))
    }

    /// What is to happen; an unclassified error goes by the class of its type.
    pub(crate) fn into_reason(self) -> Reason {
        match *self.0 {
            Reason::Unclassified(error) => match verdict_of(&error) {
                Verdict::Fatal => Reason::Fatal(error),
                Verdict::Retry => Reason::Retry { error, after: None },
                Verdict::RetryAfterMs(ms) => Reason::Retry {
                    error,
                    after: Some(Duration::from_millis(ms)),
                },
                Verdict::Ignore => Reason::Ignore(error),
                Verdict::SnoozeMs(ms) => Reason::Snooze(Duration::from_millis(ms)),
            },
            reason => reason,
        }
    }
}

impl<E: Into<BoxError>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::new(Reason::Unclassified(error.into()))
    }
}

/// What a job's own use of the [`Executor`](crate::Executor) came to: retryable where the store could
/// not be reached, and else fatal.
impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Store => Self::retry(error.to_string()),
            _ => Self::fatal(error.to_string()),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclassified(error)
            | Self::Fatal(error)
            | Self::Retry { error, .. }
            | Self::Ignore(error)
            | Self::Store(error) => Chain(error.as_ref()).fmt(f),
            Self::Snooze(delay) => {
                write!(f, "snoozed for {}", humantime::format_duration(*delay))
            }
            Self::HandOff => f.write_str("handed off"),
            Self::StartAndWait(child) => {
                write!(f, "starts the program {} and waits for it", child.run_id)
            }
            Self::Checkpoint => f.write_str("its time was used up, progress is saved"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::LeaseLost => f.write_str("another worker has taken the program"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::TimedOut(limit) => {
                write!(
                    f,
                    "took longer than its timeout of {}",
                    humantime::format_duration(*limit)
                )
            }
        }
    }
}

/// Chooses what an error means at the place where it occurs.
///
/// An error is all that `?` takes: any `std::error::Error + Send + Sync + 'static`, or a text.
///
/// ```
/// use executor::prelude::*;
///
/// #[job]
/// async fn read_file(path: String) -> Result<usize, JobError> {
///     let text = std::fs::read_to_string(path).or_retry()?;
///     Ok(text.len())
/// }
/// # fn main() {}
/// ```
pub trait OrRetry<T, E> {
    /// See [`JobError::retry`].
    ///
    /// # Errors
    /// The error that was there, as a retryable one.
    fn or_retry(self) -> Result<T, JobError>
    where
        E: AnyError;

    /// See [`JobError::retry_after`].
    ///
    /// # Errors
    /// The error that was there, as a retryable one with its own delay.
    fn or_retry_after(self, delay: Duration) -> Result<T, JobError>
    where
        E: AnyError;

    /// See [`JobError::ignore`].
    ///
    /// # Errors
    /// The error that was there, as an ignorable one.
    fn or_ignore(self) -> Result<T, JobError>
    where
        E: AnyError;
}

impl<T, E> OrRetry<T, E> for Result<T, E> {
    fn or_retry(self) -> Result<T, JobError>
    where
        E: AnyError,
    {
        self.map_err(JobError::retry)
    }

    fn or_retry_after(self, delay: Duration) -> Result<T, JobError>
    where
        E: AnyError,
    {
        self.map_err(|error| JobError::retry_after(error, delay))
    }

    fn or_ignore(self) -> Result<T, JobError>
    where
        E: AnyError,
    {
        self.map_err(JobError::ignore)
    }
}

/// An error, or a text: all that `?` takes into [`JobError`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an error nor a text",
    label = "not a `std::error::Error + Send + Sync + 'static`",
    note = "implement `std::error::Error` for it, for example with `#[derive(thiserror::Error)]`, or make a text of \
            it first: `.map_err(|error| format!(\"{{error:?}}\"))`"
)]
pub trait AnyError: Into<BoxError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> AnyError for E {}

/// What `#[derive(JobError)]` says of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The program ends as errored.
    Fatal,
    /// The same job again after its back-off.
    Retry,
    /// The same job again after these milliseconds.
    RetryAfterMs(u64),
    /// The program ends as errored, quietly.
    Ignore,
    /// The same job again after these milliseconds, counted as no retry.
    SnoozeMs(u64),
}

/// An error type whose variants say what is to happen; implemented by `#[derive(JobError)]`.
pub trait Classified {
    /// What is to happen when a job ends with this error.
    fn verdict(&self) -> Verdict;
}

/// What `#[derive(JobError)]` stands on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` derives `JobError`, and is no error yet",
    label = "not a `std::error::Error + Send + Sync + 'static`",
    note = "`JobError` says what an error means for a job: implement `std::error::Error` as well, for example with \
            `#[derive(thiserror::Error)]`"
)]
pub trait OwnError: std::error::Error + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<E: std::error::Error + Send + Sync + 'static> OwnError for E {}

/// The registration of a [`Classified`] type, found when a step ends.
pub struct ErrorClass(fn(&BoxError) -> Option<Verdict>);

impl ErrorClass {
    /// The registration of `E`.
    pub const fn of<E: Classified + OwnError>() -> Self {
        Self(|error| error.downcast_ref::<E>().map(E::verdict))
    }
}

inventory::collect!(ErrorClass);

fn verdict_of(error: &BoxError) -> Verdict {
    inventory::iter::<ErrorClass>()
        .find_map(|class| class.0(error))
        .unwrap_or(Verdict::Fatal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    enum MailError {
        Busy,
        Malformed,
    }

    impl fmt::Display for MailError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{self:?}")
        }
    }

    impl std::error::Error for MailError {}

    impl Classified for MailError {
        fn verdict(&self) -> Verdict {
            match self {
                Self::Busy => Verdict::RetryAfterMs(5),
                Self::Malformed => Verdict::Fatal,
            }
        }
    }

    inventory::submit!(ErrorClass::of::<MailError>());

    #[test]
    fn plain_question_mark_goes_by_the_class_of_the_type() {
        fn send(error: MailError) -> Result<(), JobError> {
            Err(error)?
        }
        let reason = |error| send(error).expect_err("it fails").into_reason();
        assert!(matches!(
            reason(MailError::Busy),
            Reason::Retry { after: Some(d), .. } if d == Duration::from_millis(5)
        ));
        assert!(matches!(reason(MailError::Malformed), Reason::Fatal(_)));
    }

    #[test]
    fn the_place_decides_over_the_class() {
        let error = Err::<(), _>(MailError::Busy)
            .or_ignore()
            .expect_err("it fails");
        assert!(matches!(error.into_reason(), Reason::Ignore(_)));
    }
}
