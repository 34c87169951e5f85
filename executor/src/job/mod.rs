//! Jobs: what `#[job]` makes of a function, and what the function gets to work with.

mod attempt;
mod context;
mod error;
mod limit;
mod panic;
mod params;
mod registry;
mod saved;
mod tx;

use std::{future::Future, pin::Pin, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    attempt::{Attempt, Encoded, encode, run_blocking, sendable},
    context::{Context, JobData},
    error::{AnyError, Classified, ErrorClass, JobError, OrRetry, OwnError, Verdict},
    params::{
        ContextParam, JobReturn, Output, OutputNeed, OutputParam, ProgramData, ProgramDataNeed,
        ProgramDataParam, ReturnedError, State, StateNeed, StateParam,
    },
    registry::JobDefinition,
    saved::{Saved, SavedParam},
    tx::{Tx, TxConnection, TxNeed, TxParam},
};
pub(crate) use self::{
    attempt::{AttemptParts, Awaited, Changing, Journal, ProgramMemory},
    error::Reason,
    limit::{GlobalLimit, Rate},
    panic::CatchPanic,
    params::States,
    registry::{Registry, data_key},
    tx::{Begun, TxConn, TxSlot, TxSource, sealed},
};
use crate::retry::RetryPolicy;

/// A job's data: the struct that `#[job]` makes of a function's plain parameters.
///
/// It is not implemented by hand. The struct is what programs are made of:
/// `Program::new(data).then(CountContacts { segment })`.
///
/// ```
/// use executor::prelude::*;
///
/// #[job(name = "count_contacts")]
/// async fn count_contacts(segment: String) -> Result<u64, JobError> {
///     Ok(segment.len() as u64)
/// }
///
/// assert_eq!(CountContacts::NAME, "count_contacts");
/// let data = CountContacts { segment: "vip".to_owned() };
/// # let _ = data;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "not the struct of a job's data",
    note = "`#[job] async fn count_contacts(…)` makes the struct `CountContacts`: use that"
)]
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The job's name, unique in the binary.
    const NAME: &'static str;

    /// What the job returns when it succeeds.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    // Types of their own, so that the compiler says of each at one place what it can't be.

    /// What the job returns when it does not succeed.
    #[doc(hidden)]
    type Error: ReturnedError;

    /// What the function returns.
    #[doc(hidden)]
    type Returned: JobReturn<Output = Self::Output, Error = Self::Error>;

    /// The parameter of this name, or [`NoProgramData`](crate::program::NoProgramData).
    #[doc(hidden)]
    type ProgramData;

    #[doc(hidden)]
    const OPTIONS: JobOptions;

    #[doc(hidden)]
    const NEEDS: Needs;

    #[doc(hidden)]
    fn run(attempt: Attempt) -> JobFuture;
}

/// One execution of a job's body.
pub type JobFuture = Pin<Box<dyn Future<Output = Result<Encoded, JobError>> + Send>>;

/// What the attribute's options say; made in constants, hence the milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct JobOptions {
    max_retries: u32,
    backoff_ms: (u64, u64),
    timeout_ms: Option<u64>,
    pub(crate) concurrency: Option<u32>,
    concurrency_global: Option<u32>,
    rate: Option<(u32, u64)>,
    burst: Option<u32>,
    limit_key: Option<&'static str>,
    pub(crate) strict_lease: bool,
    pub(crate) blocking: bool,
}

impl JobOptions {
    /// The defaults: 20 retries, from 1 s up to 1 h apart.
    #[allow(clippy::new_without_default)] // a constant needs a `const fn`
    pub const fn new() -> Self {
        Self {
            max_retries: 20,
            backoff_ms: (1_000, 3_600_000),
            timeout_ms: None,
            concurrency: None,
            concurrency_global: None,
            rate: None,
            burst: None,
            limit_key: None,
            strict_lease: false,
            blocking: false,
        }
    }

    /// Retries after which an error is fatal.
    pub const fn max_retries(mut self, n: u32) -> Self {
        self.max_retries = n;
        self
    }

    /// The back-off's first and longest delay.
    pub const fn backoff_ms(mut self, min: u64, max: u64) -> Self {
        self.backoff_ms = (min, max);
        self
    }

    /// How long one attempt may take.
    pub const fn timeout_ms(mut self, ms: u64) -> Self {
        self.timeout_ms = Some(ms);
        self
    }

    /// At most so many at once in one worker.
    pub const fn concurrency(mut self, n: u32) -> Self {
        self.concurrency = Some(n);
        self
    }

    /// At most so many at once over all workers.
    pub const fn concurrency_global(mut self, n: u32) -> Self {
        self.concurrency_global = Some(n);
        self
    }

    /// At most so many attempts in so many milliseconds, over all workers.
    pub const fn rate(mut self, count: u32, per_ms: u64) -> Self {
        self.rate = Some((count, per_ms));
        self
    }

    /// So many of the rate may start at one moment.
    pub const fn burst(mut self, n: u32) -> Self {
        self.burst = Some(n);
        self
    }

    /// Each value of this field has the limits for itself.
    pub const fn limit_key(mut self, field: &'static str) -> Self {
        self.limit_key = Some(field);
        self
    }

    /// The body is cancelled when the lease can no longer be counted on.
    pub const fn strict_lease(mut self) -> Self {
        self.strict_lease = true;
        self
    }

    /// The body is a plain function for the blocking pool.
    pub const fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }

    /// Its limits over all workers.
    pub(crate) fn global_limit(&self) -> Option<GlobalLimit> {
        let rate = self.rate.map(|(count, per_ms)| Rate {
            count,
            per_ms,
            burst: self.burst,
        });
        let limited = rate.is_some() || self.concurrency_global.is_some();
        limited.then_some(GlobalLimit {
            concurrency: self.concurrency_global,
            rate,
            key: self.limit_key,
        })
    }

    pub(crate) fn retry(&self) -> RetryPolicy {
        let (min, max) = self.backoff_ms;
        RetryPolicy::new(
            self.max_retries,
            Duration::from_millis(min),
            Duration::from_millis(max),
        )
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }
}

/// What the function's signature and place say.
pub struct Needs {
    /// The function's documentation.
    pub doc: &'static str,
    /// Where it stands.
    pub file: &'static str,
    /// Where it stands.
    pub line: u32,
    /// The fields of its data.
    pub fields: &'static [Field],
    /// The program data it reads, if it does.
    pub program_data: Option<ProgramDataNeed>,
    /// The outputs it reads.
    pub outputs: &'static [OutputNeed],
    /// The state it reads.
    pub states: &'static [StateNeed],
    /// The transaction it writes in, if it does.
    pub tx: Option<TxNeed>,
}

/// A field of a job's data.
#[derive(Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its type as written.
    pub ty: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is saved progress.
    pub saved: bool,
}

/// A job without fields: its data is the unit struct that stands for `{}`.
#[doc(hidden)]
#[macro_export]
macro_rules! __unit_job_data {
    ($name:ident) => {
        const _: () = {
            use $crate::__private::serde;

            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(
                    &self,
                    s: S,
                ) -> ::core::result::Result<S::Ok, S::Error> {
                    serde::ser::SerializeMap::end(s.serialize_map(::core::option::Option::Some(0))?)
                }
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(
                    d: D,
                ) -> ::core::result::Result<Self, D::Error> {
                    let none = <$crate::__private::NoFields as serde::Deserialize>::deserialize(d)?;
                    let $crate::__private::NoFields {} = none;
                    ::core::result::Result::Ok($name)
                }
            }

            impl ::core::default::Default for $name {
                fn default() -> Self {
                    $name
                }
            }
        };
    };
}

/// What the data of a job without fields is read from.
#[derive(serde::Deserialize)]
pub struct NoFields {}
