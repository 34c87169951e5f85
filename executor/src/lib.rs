//! Executor: durable, typed jobs.

mod config;
mod error;
mod event;
mod handle;
mod hand_off;
mod job;
mod json;
pub mod program;
mod retry;
mod run_id;
mod store;
mod suggest;
mod time;
mod worker;

pub use config::UnknownJob;
pub use error::{BoxError, Error, ErrorKind, Result};
pub use event::{Event, EventStream};
pub use executor_macros::{JobError, job, program};
pub use hand_off::HandOffToken;
pub use handle::{Builder, Created, Executor, ProgramCreate, ReportTarget, Watch, builder};
pub use job::{Context, Job, JobData, JobError, OrRetry, Output, ProgramData, Saved, State};
pub use program::{DynProgram, IntoProgram, Program, ProgramExt};
pub use retry::RetryPolicy;
pub use run_id::RunId;
pub use store::{Attempted, Filter, ProgramInfo, ProgramState, QueueStats, Stats, WorkerInfo};
pub use time::Timestamp;

/// What nearly every file with jobs needs.
pub mod prelude {
    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        Context, Executor, IntoProgram, Job, JobError, OrRetry, Output, Program, ProgramCreate,
        ProgramData, ProgramExt, Saved, State, job, program,
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
            Attempt, Classified, ContextParam, Encoded, ErrorClass, Field, JobDefinition,
            JobFuture, JobOptions, JobReturn, Needs, NoFields, OutputNeed, OutputParam,
            ProgramDataNeed, ProgramDataParam, SavedParam, StateNeed, StateParam, Verdict, encode,
            run_blocking, sendable,
        },
        program::{Argument, ArgumentKind, Arguments, ProgramDefinition, ProgramFuture, ProgramReturn},
    };
}
