//! Programs for those who drive them themselves, without jobs in this binary.

use std::{sync::Arc, time::Duration};

use tokio::sync::OnceCell;

use super::Executor;
use crate::{
    config::{LONGEST_LEASE, Share},
    error::{Error, ErrorKind, Result},
    hand_off::HandOffToken,
    job::data_key,
    json,
    run_id::RunId,
    store::{
        self, Change, ClaimRequest, ClaimedProgram, Failure, Fence, Held, KnownJobs, Pulse,
        StepWrite, Store, WorkerId, Written,
    },
};

/// The store as receivers use it: by connections of its own, beside those of the workers.
pub(super) type Receiving = OnceCell<Arc<dyn Store>>;

/// A program under a lease of its receiver's: its current step is to be done by whoever called
/// [`receive`](Executor::receive).
///
/// When nothing is reported before the lease ends, the program is available again, and a report that
/// comes after somebody else has taken it is refused.
pub struct Received {
    store: Arc<dyn Store>,
    lease: Duration,
    worker: WorkerId,
    fence: Fence,
    run_id: RunId,
    jobs: Vec<String>,
    step: usize,
    retried: u32,
    program_data: serde_json::Value,
    job_data: serde_json::Value,
    outputs: String,
}

impl Executor {
    /// Takes up to `max` due programs of a queue, whatever their jobs are, for a caller who does their
    /// current steps and reports the results. Each is under a lease of this length, within which
    /// nobody else takes it; [`extend`](Received::extend) makes it longer. Nothing is waited for: where
    /// nothing is due, or only since a moment, the list may be empty. Limits over all workers do not count here.
    ///
    /// ```no_run
    /// # use executor::prelude::*;
    /// # use std::time::Duration;
    /// # async fn test(executor: Executor) -> executor::Result<()> {
    /// for received in executor.receive("mail", 10, Duration::from_secs(60)).await? {
    ///     println!("{} of {}", received.job(), received.run_id());
    ///     received.complete("sent").await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The store cannot be written to, or the lease is shorter than 300 ms or longer than a day.
    pub async fn receive(&self, queue: &str, max: usize, lease: Duration) -> Result<Vec<Received>> {
        if lease < Duration::from_millis(300) || lease > LONGEST_LEASE {
            let message = "the lease must be at least 300ms and at most a day";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let config = &self.inner().config;
        let store = self
            .inner()
            .receiving
            .get_or_try_init(|| store::connect(config))
            .await?;
        let worker = WorkerId::new();
        let request = ClaimRequest {
            worker,
            shares: vec![Share::new([queue], max.min(1000))],
            slots: max.min(1000),
            bytes: config.worker.memory_budget,
            lease,
            max_crashes: config.worker.max_crashes,
            jobs: Arc::new(KnownJobs {
                names: std::collections::HashSet::new(),
                others: true,
            }),
            room: Vec::new(),
            running: Vec::new(),
            suspects: 1,
            floors: Vec::new(),
        };
        if max == 0 {
            return Ok(Vec::new());
        }
        let claimed = store.claim(request).await?;
        let mut received = Vec::with_capacity(claimed.programs.len());
        for program in claimed.programs {
            received.extend(Received::new(store, worker, lease, program).await?);
        }
        Ok(received)
    }
}

impl Received {
    /// A claimed program; `None`: its row was spoilt by hand, and it ends as errored.
    async fn new(
        store: &Arc<dyn Store>,
        worker: WorkerId,
        lease: Duration,
        program: ClaimedProgram,
    ) -> Result<Option<Self>> {
        let jobs: Vec<String> = json::read(&program.jobs).unwrap_or_default();
        let readable = program.step < jobs.len();
        let value = |text: &str| serde_json::from_str(text).unwrap_or(serde_json::Value::Null);
        let key = match readable {
            true => data_key(&jobs, program.step),
            false => String::new(),
        };
        let job_data = value(&program.job_data).get(&key).cloned();
        let received = Self {
            store: Arc::clone(store),
            lease,
            worker,
            fence: program.fence,
            run_id: program.run_id,
            step: program.step,
            retried: program.retry_count,
            program_data: value(&program.program_data),
            job_data: job_data.unwrap_or_default(),
            outputs: program.outputs,
            jobs,
        };
        if readable {
            return Ok(Some(received));
        }
        received.fail("its list of jobs can't be read").await?;
        Ok(None)
    }

    /// The program's run id.
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The name of the job that is to be done.
    pub fn job(&self) -> &str {
        self.jobs.get(self.step).map_or("", String::as_str)
    }

    /// The index of that job in the program.
    pub fn step(&self) -> usize {
        self.step
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.retried.saturating_add(1)
    }

    /// The data that all jobs of the program read.
    pub fn program_data(&self) -> &serde_json::Value {
        &self.program_data
    }

    /// The job's own data.
    pub fn job_data(&self) -> &serde_json::Value {
        &self.job_data
    }

    /// What another system reports back with, after [`hand_off`](Received::hand_off).
    pub fn hand_off_token(&self) -> HandOffToken {
        HandOffToken::new(self.run_id.clone(), self.step, self.fence.token)
    }

    /// The step is done, and this is its output. Whether that counts: `false`, somebody else has taken
    /// the program, or has stopped it.
    ///
    /// # Errors
    /// The output can't be written as JSON, or the store cannot be written to.
    pub async fn complete(self, output: impl serde::Serialize) -> Result<bool> {
        let wrong = |e| Error::new(ErrorKind::InvalidData, format!("the output: {e}"));
        let output = json::write(&output).map_err(wrong)?;
        let mut outputs = json::read_map(&self.outputs)
            .map_err(|e| Error::new(ErrorKind::InvalidData, format!("the outputs: {e}")))?;
        let adds = output.get() != "null";
        if adds {
            outputs.insert(data_key(&self.jobs, self.step), output);
        }
        let outputs = adds.then(|| json::map_text(&outputs));
        let change = match self.jobs.get(self.step + 1) {
            Some(next) => Change::AdvanceAndRelease {
                next: next.clone(),
                outputs,
            },
            None => Change::Finish { outputs },
        };
        self.write(change).await
    }

    /// The step has failed for good: the program ends as errored. Whether that counts, as in
    /// [`complete`](Received::complete).
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn fail(self, message: impl Into<String>) -> Result<bool> {
        let failure = self.failure(message.into());
        self.write(Change::Fail { failure }).await
    }

    /// The step has failed, and is due again after this time. Whether that counts, as in
    /// [`complete`](Received::complete).
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn retry(self, message: impl Into<String>, after: Duration) -> Result<bool> {
        let failure = self.failure(message.into());
        self.write(Change::Retry { failure, after }).await
    }

    /// The step is due again after this time, and nothing has failed. Whether that counts, as in
    /// [`complete`](Received::complete).
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn snooze(self, after: Duration) -> Result<bool> {
        self.write(Change::Snooze { after }).await
    }

    /// Another system does the step, and reports with the [token](Received::hand_off_token): the program
    /// waits until then, or for its `retry_after`. Whether that counts, as in
    /// [`complete`](Received::complete).
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn hand_off(self) -> Result<bool> {
        let change = Change::HandOff {
            key: data_key(&self.jobs, self.step),
            next: self.jobs.get(self.step + 1).cloned(),
        };
        self.write(change).await
    }

    /// Makes the lease last its whole length from now on. `false`: somebody else has taken the program,
    /// or has stopped it.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn extend(&self) -> Result<bool> {
        let held = Held {
            id: self.fence.id,
            token: self.fence.token,
        };
        let pulses = self
            .store
            .heartbeat(self.worker, self.lease, vec![held])
            .await?;
        Ok(matches!(pulses.first(), Some(Pulse::Alive | Pulse::Locked)))
    }

    fn failure(&self, message: String) -> Failure {
        Failure {
            step: self.step,
            job: self.job().to_owned(),
            attempt: self.attempt(),
            message,
        }
    }

    async fn write(&self, change: Change) -> Result<bool> {
        const PAUSE: Duration = Duration::from_millis(20);
        let write = Arc::new(vec![StepWrite {
            fence: self.fence,
            change,
            children: Vec::new(),
            ordinal: 0,
            lease: self.lease,
        }]);
        loop {
            let written = self.store.commit(Arc::clone(&write)).await?;
            match written.into_iter().next().flatten() {
                Some(Written::Committed | Written::Released) => return Ok(true),
                Some(Written::Stopped | Written::LeaseLost) => return Ok(false),
                Some(Written::Refused(why)) => {
                    let message = format!("could not be stored: {why}");
                    return Err(Error::new(ErrorKind::InvalidData, message));
                }
                // Some client holds its row locked.
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
