//! What a job's function can ask for besides its data.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::Arc,
};

use serde::de::DeserializeOwned;

use super::{Attempt, Job, JobError};
use crate::json::{self, DataError};

/// The data that all jobs of a program read. It fixes which programs the job can stand in.
///
/// ```
/// use executor::{ProgramData, prelude::*};
///
/// let data = ProgramData::new(7);
/// assert_eq!(*data + 1, 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramData<T>(T);

impl<T> ProgramData<T> {
    /// For calling a job's function in a test.
    pub fn new(data: T) -> Self {
        Self(data)
    }

    /// The data itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for ProgramData<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What job `J` returned earlier in this program (its nearest earlier run).
///
/// The compiler checks that `J` comes before; where it may be left out, ask for
/// `Option<Output<J>>`.
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
/// async fn report(length: Output<Count>) -> Result<String, JobError> {
///     Ok(format!("{} characters", *length))
/// }
///
/// # async fn test() -> Result<(), JobError> {
/// assert_eq!(report(Output::new(3)).await?, "3 characters");
/// # Ok(()) }
/// ```
pub struct Output<J: Job>(J::Output);

impl<J: Job> Output<J> {
    /// For calling a job's function in a test.
    pub fn new(output: J::Output) -> Self {
        Self(output)
    }

    /// The output itself.
    pub fn into_inner(self) -> J::Output {
        self.0
    }
}

impl<J: Job> Deref for Output<J> {
    type Target = J::Output;

    fn deref(&self) -> &J::Output {
        &self.0
    }
}

impl<J: Job<Output: fmt::Debug>> fmt::Debug for Output<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.0).finish()
    }
}

/// What the application handed to [`builder().state(…)`](crate::Builder::state): a pool, a client.
///
/// One value of each type, shared by all jobs. A worker stops at its start when a job asks for
/// state that was not provided.
pub struct State<T>(Arc<T>);

impl<T> State<T> {
    /// For calling a job's function in a test.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The shared value, to keep.
    pub fn into_arc(self) -> Arc<T> {
        self.0
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&*self.0).finish()
    }
}

/// The application's state, one value a type.
#[derive(Clone, Default)]
pub(crate) struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn has(&self, need: &StateNeed) -> bool {
        self.0.contains_key(&(need.type_id)())
    }

    fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(self.0.get(&TypeId::of::<T>())?).downcast().ok()
    }
}

// The traits below are what an expansion names at the user's own type, so that a type which only
// shares its name with ours is an error at that very place.

/// The program data a job reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not executor's `ProgramData<T>`",
    label = "a parameter type of this name must be executor's own, with a `T` that is `DeserializeOwned`",
    note = "give your own type another name, or import `executor::ProgramData`"
)]
pub trait ProgramDataParam: Sized {
    /// That a job reads it.
    const NEED: ProgramDataNeed;

    /// Reads it.
    ///
    /// # Errors
    /// The data is not a `T`.
    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError>;
}

impl<T: DeserializeOwned> ProgramDataParam for ProgramData<T> {
    const NEED: ProgramDataNeed = ProgramDataNeed {
        check: |text| json::read::<T>(text).map(drop),
        type_name: type_name::<T>,
    };

    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        attempt.read_program_data().map(ProgramData)
    }
}

/// That a job reads program data.
pub struct ProgramDataNeed {
    /// Whether a text from outside fits.
    pub(crate) check: fn(&str) -> Result<(), DataError>,
    pub(crate) type_name: fn() -> &'static str,
}

/// An earlier job's output.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not executor's `Output<J>` of a job `J`",
    label = "a parameter type of this name must be executor's own: `Output<CountContacts>`, or an `Option` of it",
    note = "give your own type another name, or import `executor::Output`"
)]
pub trait OutputParam: Sized {
    /// The job whose output it is.
    type Job: Job;
    /// That a job reads it.
    const NEED: OutputNeed;

    /// Reads it.
    ///
    /// # Errors
    /// The stored output is not what the job returns (any more).
    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError>;
}

impl<J: Job> OutputParam for Output<J> {
    type Job = J;
    const NEED: OutputNeed = OutputNeed {
        job: J::NAME,
        required: true,
    };

    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        match attempt.read_output::<J>()? {
            Some(output) => Ok(Self(output)),
            None => Err(JobError::fatal(format!(
                "this job needs the output of {:?}, which does not run earlier in this program",
                J::NAME
            ))),
        }
    }
}

impl<J: Job> OutputParam for Option<Output<J>> {
    type Job = J;
    const NEED: OutputNeed = OutputNeed {
        job: J::NAME,
        required: false,
    };

    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        Ok(attempt.read_output::<J>()?.map(Output))
    }
}

/// That a job reads an output.
pub struct OutputNeed {
    pub(crate) job: &'static str,
    /// Whether the program must have that job earlier.
    pub(crate) required: bool,
}

/// The application's state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not executor's `State<T>`",
    label = "a parameter type of this name must be executor's own, with a `T` that is `Send + Sync + 'static`",
    note = "give your own type another name, or import `executor::State`"
)]
pub trait StateParam: Sized {
    /// That a job reads it.
    const NEED: StateNeed;

    /// Takes a share of it.
    ///
    /// # Errors
    /// The application provided none (a worker finds that at its start).
    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError>;
}

impl<T: Send + Sync + 'static> StateParam for State<T> {
    const NEED: StateNeed = StateNeed {
        type_id: TypeId::of::<T>,
        type_name: type_name::<T>,
    };

    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        attempt.states().get().map(Self).ok_or_else(|| {
            JobError::fatal(format!(
                "no state of type `{}` was provided",
                type_name::<T>()
            ))
        })
    }
}

/// That a job reads state.
pub struct StateNeed {
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) type_name: fn() -> &'static str,
}

/// The attempt's context.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not executor's `Context`",
    label = "a parameter type of this name must be executor's own",
    note = "give your own type another name, or import `executor::Context`"
)]
pub trait ContextParam: Sized {
    /// Makes it.
    ///
    /// # Errors
    /// None today.
    fn from_attempt(attempt: &Attempt) -> Result<Self, JobError>;
}

/// What a job's function returns.
#[diagnostic::on_unimplemented(
    message = "a job must return a `Result`, and this one returns `{Self}`",
    label = "write `Result<{Self}, JobError>`",
    note = "in place of `JobError` it can be any error that `?` takes into it"
)]
pub trait JobReturn {
    /// What it returns when it succeeds.
    type Output;
    /// What it returns when it does not.
    type Error;

    /// As a result.
    ///
    /// # Errors
    /// The job's own.
    fn into_result(self) -> Result<Self::Output, Self::Error>;
}

impl<T, E> JobReturn for Result<T, E> {
    type Output = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// An error that a job can return.
#[diagnostic::on_unimplemented(
    message = "a job can't return the error `{Self}`",
    label = "return `JobError`, or an error that `?` takes into it",
    note = "`?` takes any `std::error::Error + Send + Sync + 'static` (`#[derive(thiserror::Error)]` makes one), \
            `Box<dyn Error + Send + Sync>`, and texts"
)]
pub trait ReturnedError {
    /// Our error.
    fn into_job_error(self) -> JobError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<JobError>> ReturnedError for E {
    fn into_job_error(self) -> JobError {
        self.into()
    }
}
