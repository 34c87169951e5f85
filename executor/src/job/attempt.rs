//! One execution of a job's body, and what it shares with the worker.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Job, JobError, JobReturn, Reason, ReturnedError, States, TxSlot, data_key, panic};
use crate::{
    error::BoxError,
    json::{self, RawMap},
    program::Checked,
    run_id::RunId,
};

/// What a running body stands on. Expansions hand it around; users meet [`Context`](super::Context).
#[derive(Clone)]
pub struct Attempt(Arc<AttemptParts>);

pub(crate) struct AttemptParts {
    pub(crate) job: &'static str,
    pub(crate) run_id: RunId,
    pub(crate) step: usize,
    /// 1 for the first attempt of this step.
    pub(crate) number: u32,
    /// The claim under which it runs.
    pub(crate) token: i64,
    pub(crate) started: Instant,
    pub(crate) memory: Arc<ProgramMemory>,
    pub(crate) cancellation: CancellationToken,
    pub(crate) states: Arc<States>,
    pub(crate) journal: Arc<dyn Journal>,
    /// The transaction of a job that writes in one.
    pub(crate) tx: Option<Arc<TxSlot>>,
}

/// A program that a body wants to be started, and whose end its own program waits for.
pub(crate) struct Awaited {
    pub(crate) run_id: RunId,
    pub(crate) program: Checked,
    pub(crate) parent: RunId,
}

/// How a running body's durable writes reach the store.
pub(crate) trait Journal: Send + Sync {
    /// Stores the program's job data and what else the body has buffered.
    fn save(&self) -> Pin<Box<dyn Future<Output = Result<(), JobError>> + Send + '_>>;
}

/// What a worker holds of a program while it runs it.
pub(crate) struct ProgramMemory {
    pub(crate) jobs: Vec<Box<str>>,
    pub(crate) program_data: Box<str>,
    /// Whether a job that stands again has its data in common with where it stood before.
    shared_keys: bool,
    changing: Mutex<Changing>,
}

/// The part of a program that its jobs change.
#[derive(Default)]
pub(crate) struct Changing {
    pub(crate) job_data: RawMap,
    pub(crate) outputs: RawMap,
    /// Programs started by the running body, and not stored yet.
    pub(crate) children: Vec<(RunId, Checked)>,
    /// How many children this step has started, stored ones included.
    pub(crate) ordinal: u32,
    /// Whether there is job data that goes into the store with the job's transaction.
    pub(crate) unsaved: bool,
}

impl ProgramMemory {
    pub(crate) fn new(jobs: Vec<Box<str>>, program_data: Box<str>, changing: Changing) -> Self {
        Self {
            jobs,
            program_data,
            shared_keys: false,
            changing: Mutex::new(changing),
        }
    }

    pub(crate) fn with_shared_keys(mut self, shared_keys: bool) -> Self {
        self.shared_keys = shared_keys;
        self
    }

    /// The key of the data and the output of the job at this step.
    pub(crate) fn key(&self, step: usize) -> String {
        if self.shared_keys {
            self.jobs[step].to_string()
        } else {
            data_key(&self.jobs, step)
        }
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, Changing> {
        // Every holder leaves it whole: a poisoned lock has nothing half done behind it.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    pub(crate) fn new(parts: AttemptParts) -> Self {
        Self(Arc::new(parts))
    }

    /// An attempt of no program, for a test that calls a job's function: nothing is stored.
    pub(crate) fn of_no_program() -> Self {
        struct Nowhere;
        impl Journal for Nowhere {
            fn save(&self) -> Pin<Box<dyn Future<Output = Result<(), JobError>> + Send + '_>> {
                Box::pin(std::future::ready(Ok(())))
            }
        }
        let jobs = vec!["test".into()];
        Self::new(AttemptParts {
            job: "test",
            run_id: RunId::from("test"),
            step: 0,
            number: 1,
            token: 0,
            started: Instant::now(),
            memory: Arc::new(ProgramMemory::new(jobs, "null".into(), Changing::default())),
            cancellation: CancellationToken::new(),
            states: Arc::default(),
            journal: Arc::new(Nowhere),
            tx: None,
        })
    }

    pub(crate) fn parts(&self) -> &AttemptParts {
        &self.0
    }

    /// The job's data, as the function's fields.
    ///
    /// # Errors
    /// The stored data does not fit (any more): fatal, with the field's path.
    pub fn job_data<J: Job>(&self) -> Result<J, JobError> {
        let key = self.key();
        let changing = self.0.memory.changing();
        let text = changing.job_data.get(&key).map_or("{}", |raw| raw.get());
        json::read(text).map_err(|e| JobError::fatal(format!("job data of {key:?}: {e}")))
    }

    pub(super) fn read_program_data<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        json::read(&self.0.memory.program_data)
            .map_err(|e| JobError::fatal(format!("program data: {e}")))
    }

    pub(super) fn read_output<J: Job>(&self) -> Result<Option<J::Output>, JobError> {
        let jobs = &self.0.memory.jobs;
        let Some(at) = jobs[..self.0.step]
            .iter()
            .rposition(|job| **job == *J::NAME)
        else {
            return Ok(None);
        };
        let key = self.0.memory.key(at);
        let changing = self.0.memory.changing();
        // An output of null is not stored.
        let text = changing.outputs.get(&key).map_or("null", |raw| raw.get());
        json::read(text)
            .map(Some)
            .map_err(|e| JobError::fatal(format!("output of {key:?}: {e}")))
    }

    pub(super) fn states(&self) -> &States {
        &self.0.states
    }

    /// Stores one field of the job's data.
    pub(super) async fn save_field<T: Serialize>(
        &self,
        field: &str,
        value: &T,
    ) -> Result<(), JobError> {
        let raw = json::write(value).map_err(|e| JobError::fatal(format!("field {field}: {e}")))?;
        self.save_fields(|fields| drop(fields.insert(field.to_owned(), raw)))
            .await
    }

    /// Changes the job's data and stores it.
    pub(super) async fn save_fields(
        &self,
        change: impl FnOnce(&mut RawMap),
    ) -> Result<(), JobError> {
        self.change_fields(change)?;
        // In a job with a transaction, progress is durable with it (SEMANTICS §1.5).
        match self.0.tx {
            Some(_) => {
                self.0.memory.changing().unsaved = true;
                Ok(())
            }
            None => self.0.journal.save().await,
        }
    }

    fn change_fields(&self, change: impl FnOnce(&mut RawMap)) -> Result<(), JobError> {
        let mut changing = self.0.memory.changing();
        let key = self.key();
        let mut fields = changing
            .job_data
            .get(&key)
            .map_or(Ok(RawMap::new()), |raw| {
                json::read_map(raw.get())
                    .map_err(|e| JobError::fatal(format!("job data of {key:?}: {e}")))
            })?;
        change(&mut fields);
        let raw = json::write(&fields).map_err(JobError::fatal)?;
        changing.job_data.insert(key, raw);
        Ok(())
    }

    pub(super) fn fields(&self) -> Result<RawMap, JobError> {
        let key = self.key();
        self.0
            .memory
            .changing()
            .job_data
            .get(&key)
            .map_or(Ok(RawMap::new()), |raw| {
                json::read_map(raw.get())
                    .map_err(|e| JobError::fatal(format!("job data of {key:?}: {e}")))
            })
    }

    fn key(&self) -> String {
        self.0.memory.key(self.0.step)
    }
}

/// What a job returned, as JSON; `null` is not stored.
pub struct Encoded(pub(crate) Option<Box<RawValue>>);

/// A job's result on its way to the store.
///
/// # Errors
/// The job's own; and a fatal one when its output cannot be stored.
pub fn encode<J: Job>(returned: J::Returned) -> Result<Encoded, JobError> {
    let raw = json::write(
        &returned
            .into_result()
            .map_err(ReturnedError::into_job_error)?,
    )
    .map_err(|e| JobError::fatal(format!("its output can't be stored: {e}")))?;
    Ok(Encoded((raw.get() != "null").then_some(raw)))
}

/// Runs a plain function's body on the blocking pool.
///
/// # Errors
/// It panicked.
pub async fn run_blocking<T: Send + 'static>(
    _attempt: &Attempt,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    // The store's own calls use the same pool: bodies that block must leave it some threads.
    static BODIES: Semaphore = Semaphore::const_new(256);
    let _turn = BODIES.acquire().await;
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(|| panic::catch(body))).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => Err(JobError::new(Reason::Panicked(panic))),
        // The runtime is shutting down: the step was not done, and runs again elsewhere.
        Err(error) => Err(JobError::new(Reason::Store(BoxError::from(error)))),
    }
}

/// Where the compiler checks that a job's future can move between threads.
pub fn sendable<F: Future + Send>(future: F) -> F {
    future
}
