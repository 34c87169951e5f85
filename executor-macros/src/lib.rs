//! The macros of Executor. Use them through the `executor` crate, which exports them all.
//!
//! Each attribute goes through four stages, a file each: `args` reads the attribute, `model` reads the
//! function, `check` compares the two, `expand` writes the code. Errors are collected on the way, and
//! the user's function comes out first in any case, so that one mistake doesn't hide the rest.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test says by a panic that it failed")
)]

use proc_macro::TokenStream;

mod cased;
mod crate_path;
mod docs;
mod duration;
mod errors;
mod function;
#[cfg(test)]
mod golden;
mod job;
mod job_error;
mod name;
mod options;
mod program;
mod types;

/// Makes a job of an async function.
///
/// The function stays as it is, and can be called and tested as one. Next to it comes a struct of the
/// same name in `UpperCamelCase`, which holds the job's data and implements `executor::Job`.
///
/// What a parameter gets follows from its type: `ProgramData<T>`, `Output<J>` or `Option<Output<J>>`,
/// `Saved<T>`, `State<T>` and `Context` are taken from the run; all others are fields of the struct,
/// and take `serde` attributes.
///
/// ```ignore
/// /// Sends one page of a campaign.
/// #[job(retry(max = 8, backoff = "1s..5m"), timeout = "10m")]
/// async fn send_page(contacts: Output<CountContacts>, mailer: State<Mailer>, page: u32) -> Result<(), JobError> {
///     mailer.send(page, *contacts).await.or_retry()
/// }
///
/// let program = Program::new(()).then(CountContacts).then(SendPage { page: 1 });
/// ```
///
/// The struct has `new(…)`, which takes the required fields and leaves the others (`Option`, `Saved`,
/// `#[serde(default)]`) at their defaults, and `Default` where no field is required. A job without
/// fields is a unit struct: `Ping`. A `Saved<T>` parameter is a field of type `T`.
///
/// # Options
///
/// - `name = "…"`: the name under which the job is stored; the function's name if left out
/// - `retry(max = 8, backoff = "1s..5m")`: how often, and how long between; either may be left out, and
///   `backoff = "10s"` is constant
/// - `timeout = "10m"`: the longest an attempt may take
/// - `concurrency = 4`: at most so many at once in a worker
/// - `concurrency_global = 10`: at most so many at once over all workers of the store; the body is cancelled
///   as soon as the lease can't be renewed
/// - `rate = "100/min"`: at most so many attempts in that time over all workers (`s`, `min`, `h`, `d`, or a
///   duration: `"5/30s"`); `burst = 20` of them may start at one moment after a pause, a second's worth
///   if left out
/// - `limit_key = "customer_id"`: each value of this field, of the job's data or else of the program's, has
///   such limits of its own
/// - `strict_lease`: stop as soon as the lease can't be renewed
/// - `blocking`: a plain `fn`, run on the blocking pool; it can't be dropped when it is past its timeout,
///   and keeps its slot till it returns
/// - `derive(Clone, …)`: more derives for the struct
/// - `crate = "…"`: the path of the `executor` crate, if it isn't `::executor`
#[proc_macro_attribute]
pub fn job(args: TokenStream, item: TokenStream) -> TokenStream {
    job::expand(args.into(), item.into()).into()
}

/// Registers a function that builds a program, so that it can be started by its name with arguments.
///
/// The function is plain or async, and returns `impl IntoProgram` or a `Result` of it. An argument of type
/// `Option<T>` may be left out, a `bool` is a flag, all others are required. On the command line a value is
/// read as JSON, and where that is no `T` as a string: `--segment vip`, `--ids "[1, 2]"`. The docs of the function and of
/// its arguments are its help text.
///
/// ```ignore
/// /// Sends a campaign to a segment.
/// #[program]
/// fn campaign(
///     /// The customer.
///     customer_id: u64,
///     dry_run: bool,
/// ) -> impl IntoProgram {
///     Program::new(Campaign { customer_id, dry_run }).then(CountContacts)
/// }
/// ```
///
/// # Options
///
/// - `name = "…"`: the name by which it is started; the function's name if left out
/// - `schedule = "0 3 * * *"`: it is started by itself at these times: minute, hour, day of the month, month
///   and day of the week (with seconds before them, if there are six). All its arguments are optional then
/// - `timezone = "Europe/Budapest"`: where these times are read; UTC if left out
/// - `catch_up = "none" | "last" | "all"`: which of the slots that no worker was there to fill are filled
///   later: none (a minute late at most), the last one (if left out), or all, up to 1,000
/// - `crate = "…"`: the path of the `executor` crate, if it isn't `::executor`
///
/// An argument of type `Slot` or `Option<Slot>` gets the time for which the schedule starts the program:
///
/// ```ignore
/// #[program(name = "nightly", schedule = "0 3 * * *", timezone = "Europe/Budapest")]
/// fn nightly(slot: Option<Slot>) -> impl IntoProgram {
///     Report { of_the_day: slot }
/// }
/// ```
#[proc_macro_attribute]
pub fn program(args: TokenStream, item: TokenStream) -> TokenStream {
    program::expand(args.into(), item.into()).into()
}

/// Registers what an error means for the job that ends with it.
///
/// A variant is `fatal` if nothing else is said, for itself or for the whole type.
///
/// ```ignore
/// #[derive(Debug, thiserror::Error, JobError)]
/// enum MailError {
///     #[error("the server did not answer")]
///     #[job_error(retry)]
///     Timeout,
///     #[error("too many messages")]
///     #[job_error(retry_after = "5m")]
///     Throttled,
///     #[error("malformed address")]
///     Malformed,
/// }
/// ```
///
/// # Options
///
/// - `retry`, `retry_after = "5m"`, `ignore`, `snooze = "1h"`, `fatal`: one for a variant; on the type, the
///   default of its variants
/// - `crate = "…"`, on the type: the path of the `executor` crate, if it isn't `::executor`
#[proc_macro_derive(JobError, attributes(job_error))]
pub fn job_error(item: TokenStream) -> TokenStream {
    job_error::expand(item.into()).into()
}
