//! Durable, typed jobs: programs of async functions that survive any crash.
//!
//! Put [`#[job]`](macro@job) on async functions, line them up as a [`Program`], and call `run()`:
//! the jobs run one after the other, each step is recorded in a SQL database before the next one
//! starts, and after any crash the program goes on where it was.
//!
//! ```no_run
//! use executor::prelude::*;
//!
//! /// Counts the contacts of a segment.
//! #[job]
//! async fn count_contacts(segment: String) -> Result<u64, JobError> {
//!     Ok(segment.len() as u64 * 100)
//! }
//!
//! /// Sends the campaign page by page, and goes on from the last page sent.
//! #[job(retry(max = 8, backoff = "1s..5m"), timeout = "10m")]
//! async fn send_campaign(
//!     contacts: Output<CountContacts>,
//!     mut page: Saved<u64>,
//! ) -> Result<(), JobError> {
//!     while *page * 100 < *contacts {
//!         println!("sending page {}", *page);
//!         page.set(*page + 1).await?; // durable before the next page
//!     }
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> executor::Result<()> {
//!     let executor = Executor::connect().await?;
//!     let run_id = Program::new(())
//!         .then(CountContacts { segment: "vip".to_owned() })
//!         .then(SendCampaign::default())
//!         .create(&executor)
//!         .await?;
//!     let ended = executor.work_until_ended([&run_id]).await?;
//!     println!("{}", ended[0].state);
//!     Ok(())
//! }
//! ```
//!
//! # Where to look
//!
//! - [`job`](macro@job): the attribute, and what a function's parameters get: [`ProgramData`],
//!   [`Output`], [`Saved`], [`State`], [`Context`], and fields of the job's data.
//! - [`JobError`](struct@JobError): what each error of a job does; [`OrRetry`] chooses at the place, and
//!   `#[derive(JobError)]` by the variant.
//! - [`Program`], [`ProgramExt`], [`DynProgram`]: lists of jobs, and when and where they run.
//! - [`program`](macro@program): programs with a name, which the command line and schedules can start.
//! - [`Schedules`], [`Schedule`], [`Slot`]: programs that start by themselves.
//! - [`Executor`]: the handle: create, wait, watch, cancel, retry and so on.
//! - [`builder`]: settings and state; the README has the table of environment variables.
//!
//! # Testing
//!
//! A job is the function as you wrote it: call it with [`Saved::new`], [`Output::new`],
//! [`ProgramData::new`], [`State::new`] and [`Context::new`]. A whole program runs in a test by
//! [`Executor::work_until_ended`] on a store in a temporary folder.
//!
//! # Features
//!
//! - `sqlite` (default): the embedded store.
//! - `postgres`: the store on PostgreSQL.
//! - `mysql`: the store on MySQL and MariaDB.
//! - `rabbitmq`: RabbitMQ hands the programs to the workers.
//! - `cli` (default): the command line of `run()`.

#![cfg_attr(
    not(all(
        feature = "sqlite",
        feature = "postgres",
        feature = "mysql",
        feature = "rabbitmq"
    )),
    allow(
        dead_code,
        unused_imports,
        reason = "some is there for one of the stores, or for RabbitMQ, only"
    )
)]

mod broker;
#[cfg(any(feature = "server", feature = "rabbitmq"))]
mod certificates;
#[cfg(feature = "cli")]
mod cli;
mod config;
mod error;
mod event;
mod hand_off;
mod handle;
mod job;
mod json;
pub mod program;
mod retry;
mod run;
mod run_id;
mod schedule;
mod store;
mod suggest;
mod time;
#[cfg(any(feature = "server", feature = "rabbitmq"))]
mod url;
mod worker;

pub use config::{Interop, UnknownJob};
pub use error::{BoxError, Error, ErrorKind, Result};
pub use event::{Event, EventStream};
pub use executor_macros::{JobError, job, program};
pub use hand_off::HandOffToken;
#[cfg(feature = "rabbitmq")]
pub use handle::Adopt;
pub use handle::{
    Builder, CreateIn, Created, Executor, ProgramCreate, Received, ReportTarget, Schedules, Watch,
    builder,
};
pub use job::{
    Context, Job, JobData, JobError, OrRetry, Output, ProgramData, Saved, State, Tx, TxConnection,
};
pub use program::{DynProgram, IntoProgram, Program, ProgramExt};
pub use retry::RetryPolicy;
pub use run::run;
pub use run_id::RunId;
pub use schedule::{CatchUp, Schedule, ScheduleInfo, ScheduleSource, Slot};
#[cfg(feature = "mysql")]
pub use store::MySql;
#[cfg(feature = "postgres")]
pub use store::Pg;
#[cfg(feature = "sqlite")]
pub use store::Sqlite;
pub use store::{
    Attempted, BulkVerb, Filter, ProgramInfo, ProgramState, Prune, QueueStats, Stats, Tally,
    WorkerInfo,
};
pub use time::Timestamp;

/// What nearly every file with jobs needs.
pub mod prelude {
    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        Context, Executor, IntoProgram, Job, JobError, OrRetry, Output, Program, ProgramCreate,
        ProgramData, ProgramExt, Saved, State, Tx, job, program,
    };
}

/// What the macros' expansions use; not for anybody else.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    pub use serde;
    pub use serde_json;

    pub use crate::{
        __unit_job_data as unit_job_data,
        job::{
            AnyError, Attempt, Classified, ContextParam, Encoded, ErrorClass, Field, JobDefinition,
            JobFuture, JobOptions, JobReturn, Needs, NoFields, OutputNeed, OutputParam, OwnError,
            ProgramDataNeed, ProgramDataParam, ReturnedError, SavedParam, StateNeed, StateParam,
            TxNeed, TxParam, Verdict, encode, run_blocking, sendable,
        },
        program::{
            Argument, ArgumentKind, Arguments, ProgramDefinition, ProgramFuture, ProgramReturn,
        },
        schedule::{CatchUp, ScheduleDefinition, SlotParam},
    };
}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
