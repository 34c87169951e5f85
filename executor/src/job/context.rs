//! What a job can learn of its own execution, and ask of the engine.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Attempt, Awaited, ContextParam, JobError, Reason};
use crate::{hand_off::HandOffToken, json, program::IntoProgram, run_id::RunId};

/// A job's view of its own execution.
///
/// ```
/// use std::time::Duration;
/// use executor::prelude::*;
///
/// #[job]
/// async fn import(ctx: Context, mut line: Saved<usize>, file: String) -> Result<(), JobError> {
///     for (number, text) in file.lines().enumerate().skip(*line) {
///         ctx.check_cancelled()?;
///         println!("{} attempt {}: {text}", ctx.run_id(), ctx.attempt());
///         line.set(number + 1).await?;
///         ctx.checkpoint(Duration::from_secs(60))?;
///     }
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Context(Attempt);

impl Context {
    /// For calling a job's function in a test: attempt 1 of no program; nothing is stored, and
    /// nobody cancels it.
    pub fn new() -> Self {
        Self(Attempt::of_no_program())
    }

    /// The program's run id.
    pub fn run_id(&self) -> &RunId {
        &self.0.parts().run_id
    }

    /// The index of this job in its program.
    pub fn step(&self) -> usize {
        self.0.parts().step
    }

    /// The job's name.
    pub fn job(&self) -> &'static str {
        self.0.parts().job
    }

    /// 1 for the first attempt of this step, one more for each retry.
    pub fn attempt(&self) -> u32 {
        self.0.parts().number
    }

    /// Whether the job is asked to end: the program was stopped, the job is past its timeout, or
    /// the worker shuts down and its grace time is over.
    ///
    /// What the body returns then still counts: `Ok` says that the step is done. A body that stops
    /// half way returns an error, best by [`check_cancelled`](Context::check_cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.0.parts().cancellation.is_cancelled()
    }

    /// Ends a body that is asked to end.
    ///
    /// # Errors
    /// When it is: return the error with `?`. After a shutdown the step runs again on another worker,
    /// after a timeout it is retried, and after a stop nothing more of the program runs.
    pub fn check_cancelled(&self) -> Result<(), JobError> {
        if self.is_cancelled() {
            return Err(JobError::new(Reason::Cancelled));
        }
        Ok(())
    }

    /// Waits until the job is asked to end.
    pub async fn cancelled(&self) {
        self.0.parts().cancellation.cancelled().await;
    }

    /// Ends this attempt when it has run for `max_time`: saved progress stays, and the program goes
    /// back to the queue behind those that are due.
    ///
    /// # Errors
    /// When the time is over: return the error with `?`. It counts as no retry.
    pub fn checkpoint(&self, max_time: Duration) -> Result<(), JobError> {
        if self.0.parts().started.elapsed() >= max_time {
            return Err(JobError::new(Reason::Checkpoint));
        }
        Ok(())
    }

    /// Starts another program: it is stored in the same commit as this step's end (or as the next
    /// [`Saved`](super::Saved) progress), never without it and never twice. Of a child whose unique
    /// key is taken then, nothing is stored: the other program stands for it, and there is none by
    /// the returned id.
    ///
    /// # Errors
    /// The program cannot be stored: its data does not become JSON, or it has no jobs.
    pub fn start(&self, program: impl IntoProgram) -> Result<RunId, JobError> {
        let program = program
            .erase()
            .checked()
            .map_err(|e| JobError::fatal(e.to_string()))?;
        let parts = self.0.parts();
        let mut changing = parts.memory.changing();
        let step = u32::try_from(parts.step).unwrap_or(u32::MAX);
        let run_id = parts.run_id.child(step, changing.ordinal);
        changing.ordinal += 1;
        changing.children.push((run_id.clone(), program));
        Ok(run_id)
    }

    /// Hands this job's work to another program: return it as the job's error. That program is stored in
    /// the commit that ends this attempt, never without it and never twice. Until it ends, this job's
    /// program waits, without a slot and without a worker. Then the step is done, and its output is what the
    /// last job of the other program has returned.
    ///
    /// So the job's own return type is that of the other program's last job, and later jobs read it by
    /// [`Output`](super::Output) as ever; an output that is something else fails the step when it comes.
    ///
    /// ```
    /// use executor::prelude::*;
    ///
    /// #[job]
    /// async fn count(text: String) -> Result<usize, JobError> {
    ///     Ok(text.len())
    /// }
    ///
    /// #[job]
    /// async fn count_elsewhere(ctx: Context, text: String) -> Result<usize, JobError> {
    ///     Err(ctx.start_and_wait(Count { text }.queue("heavy")))
    /// }
    ///
    /// #[job]
    /// async fn report(length: Output<CountElsewhere>) -> Result<String, JobError> {
    ///     Ok(format!("{} characters", *length))
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// Where the other program ends as errored, is cancelled or stopped by hand, or is deleted, this step
    /// fails, with a message that names it. A [`retry`](crate::Executor::retry) of this program then runs the
    /// job again, which starts another one. When this program is cancelled or deleted, the other one goes on:
    /// cancel it too, where that is wanted. The program's `retry_after` does not count here.
    ///
    /// Where the other program has a unique key that is taken, nothing is stored, and the program that has
    /// the key is waited for. Of a job with [`Tx`](super::Tx) nothing is kept that it wrote, as with any error.
    pub fn start_and_wait(&self, program: impl IntoProgram) -> JobError {
        let program = match program.erase().checked() {
            Ok(program) => program,
            Err(e) => return JobError::fatal(e.to_string()),
        };
        let parts = self.0.parts();
        let mut changing = parts.memory.changing();
        let step = u32::try_from(parts.step).unwrap_or(u32::MAX);
        let run_id = parts.run_id.awaited_child(step, changing.ordinal);
        changing.ordinal += 1;
        JobError::new(Reason::StartAndWait(Box::new(Awaited {
            run_id,
            program,
            parent: parts.run_id.clone(),
        })))
    }

    /// What [`complete`](crate::Executor::complete) and [`fail`](crate::Executor::fail) take, for the
    /// system that this job hands its work to.
    pub fn hand_off_token(&self) -> HandOffToken {
        let parts = self.0.parts();
        HandOffToken::new(parts.run_id.clone(), parts.step, parts.token)
    }

    /// The job's data in its untyped form.
    pub fn job_data(&self) -> JobData<'_> {
        JobData(&self.0)
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl ContextParam for Context {
    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        Ok(Self(attempt.clone()))
    }
}

/// A job's data as plain JSON, for what no typed field can hold.
///
/// A change is durable when the call returns. Merges are shallow, and keep `null`.
pub struct JobData<'a>(&'a Attempt);

impl JobData<'_> {
    /// One field, `None` when it is not there.
    ///
    /// # Errors
    /// The field is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, JobError> {
        self.0.fields()?.get(field).map_or(Ok(None), |raw| {
            json::read(raw.get())
                .map(Some)
                .map_err(|e| JobError::fatal(format!("job data, field {field:?}: {e}")))
        })
    }

    /// All fields.
    ///
    /// # Errors
    /// The stored data is no object.
    pub fn all(&self) -> Result<Map<String, Value>, JobError> {
        let mut all = Map::new();
        for (field, raw) in self.0.fields()? {
            all.insert(field, json::read(raw.get()).map_err(JobError::fatal)?);
        }
        Ok(all)
    }

    /// Sets one field.
    ///
    /// # Errors
    /// As [`Saved::set`](super::Saved::set).
    pub async fn set<T: Serialize>(&self, field: &str, value: &T) -> Result<(), JobError> {
        self.0.save_field(field, value).await
    }

    /// Sets the fields of `partial` and leaves all others.
    ///
    /// # Errors
    /// As [`Saved::set`](super::Saved::set).
    pub async fn merge(&self, partial: Map<String, Value>) -> Result<(), JobError> {
        let mut fields = Vec::with_capacity(partial.len());
        for (field, value) in partial {
            let raw = json::write(&value)
                .map_err(|e| JobError::fatal(format!("job data, field {field:?}: {e}")))?;
            fields.push((field, raw));
        }
        self.0.save_fields(|all| all.extend(fields)).await
    }
}
