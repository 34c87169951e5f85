//! The handle: what an application does with programs, and how it becomes a worker.

#[cfg(feature = "rabbitmq")]
mod adopt;
mod builder;
mod bulk;
mod create;
mod follow;
mod receive;
mod schedules;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(feature = "rabbitmq")]
pub use self::adopt::Adopt;
use self::create::Creator;
pub(crate) use self::create::new_program;
pub use self::{
    builder::{Builder, builder},
    create::{CreateIn, Created, ProgramCreate},
    follow::Watch,
    receive::Received,
    schedules::Schedules,
};
use crate::{
    broker::Broker,
    config::Config,
    error::{Error, ErrorKind, Result},
    event::{EventStream, Events},
    hand_off::HandOffToken,
    job::{Registry, States},
    json,
    run_id::RunId,
    store::{Afterwards, Filter, ProgramInfo, Stats, Store, Target, WorkerInfo},
};

/// The handle on a store of programs. It is cheap to clone.
///
/// ```no_run
/// use executor::prelude::*;
///
/// #[job]
/// async fn greet(name: String) -> Result<String, JobError> {
///     Ok(format!("hello {name}"))
/// }
///
/// # async fn test() -> executor::Result<()> {
/// let executor = Executor::connect().await?;
/// let run_id = Greet { name: "Ada".to_owned() }.create(&executor).await?;
/// let program = executor.wait(&run_id).await?;
/// println!("{}: {:?}", program.state, program.output());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Executor(Arc<Inner>);

/// What the handle, its workers and the command line share.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) states: Arc<States>,
    pub(crate) events: Arc<Events>,
    /// Asks for a heartbeat now: something was stopped.
    pub(crate) nudge: watch::Sender<()>,
    /// Asks this process's workers to look at the schedules.
    pub(crate) schedules_changed: watch::Sender<()>,
    /// Asks this process's workers to stop.
    pub(crate) stop: CancellationToken,
    /// This process's workers.
    pub(crate) workers: TaskTracker,
    creator: OnceLock<Creator>,
    receiving: receive::Receiving,
}

impl Executor {
    /// Connects as the environment says (`DATABASE_URL` and so on), and creates or upgrades the
    /// tables.
    ///
    /// # Errors
    /// A setting is wrong, the store cannot be reached, or its tables are of a newer version.
    pub async fn connect() -> Result<Self> {
        builder().connect().await
    }

    pub(crate) fn new(
        config: Config,
        store: Arc<dyn Store>,
        broker: Arc<dyn Broker>,
        states: States,
        events: Events,
    ) -> Self {
        Self(Arc::new(Inner {
            config,
            store,
            broker,
            states: Arc::new(states),
            events: Arc::new(events),
            nudge: watch::Sender::new(()),
            schedules_changed: watch::Sender::new(()),
            stop: CancellationToken::new(),
            workers: TaskTracker::new(),
            creator: OnceLock::new(),
            receiving: receive::Receiving::new(),
        }))
    }

    /// The same store, state and events, with other queues to work.
    #[cfg(feature = "cli")]
    pub(crate) fn with_queues(&self, queues: Vec<String>) -> Self {
        let mut config = self.0.config.clone();
        config.worker.queues = queues.into_iter().map(Into::into).collect();
        Self(Arc::new(Inner {
            config,
            store: Arc::clone(&self.0.store),
            broker: Arc::clone(&self.0.broker),
            states: Arc::clone(&self.0.states),
            events: Arc::clone(&self.0.events),
            nudge: self.0.nudge.clone(),
            schedules_changed: self.0.schedules_changed.clone(),
            stop: self.0.stop.clone(),
            workers: self.0.workers.clone(),
            creator: OnceLock::new(),
            receiving: receive::Receiving::new(),
        }))
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// Stops the workers that this handle and its clones have started, and waits until they have
    /// stopped: no program is claimed any more, running jobs end within the grace time, and leases
    /// are given back. What this handle has created is announced to the workers of other processes by
    /// then, where a broker does that. The handle can still create and show programs.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.workers.close();
        self.0.workers.wait().await;
        self.0.broker.flush().await;
    }

    /// The program of this run id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn get(&self, run_id: &RunId) -> Result<Option<ProgramInfo>> {
        self.store().get(run_id.clone()).await
    }

    /// Programs that fit the filter, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: Filter) -> Result<Vec<ProgramInfo>> {
        self.store().list(filter).await
    }

    /// The programs that this program's jobs have started.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn children(&self, run_id: &RunId) -> Result<Vec<RunId>> {
        self.store().children(run_id.clone()).await
    }

    /// How many programs there are, by state and by queue.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn stats(&self) -> Result<Stats> {
        self.store().stats().await
    }

    /// The live workers: those that gave a sign within their lease.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        self.store().workers().await
    }

    /// What happens in this process's workers from now on.
    pub fn events(&self) -> EventStream {
        self.0.events.subscribe()
    }

    /// Ends an unfinished program as errored. A running job is cancelled: at once when its worker
    /// is in this process, else at its next heartbeat. `false`: there is no such program.
    ///
    /// # Errors
    /// The program has ended already, or the store cannot be written to.
    pub async fn cancel(&self, run_id: &RunId) -> Result<bool> {
        let cancelled = self
            .store()
            .cancel(run_id.clone(), "cancelled".to_owned())
            .await?;
        self.0.nudge.send_replace(());
        Ok(cancelled)
    }

    /// Makes an errored program go on from the step that failed. `false`: there is no such
    /// program.
    ///
    /// # Errors
    /// The program is not errored, another one has its unique key now, or the store cannot be
    /// written to.
    pub async fn retry(&self, run_id: &RunId) -> Result<bool> {
        self.store().retry(run_id.clone()).await
    }

    /// Deletes a program in any state; a running job of it is cancelled. `false`: there is none.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn delete(&self, run_id: &RunId) -> Result<bool> {
        let deleted = self.store().delete(run_id.clone()).await?;
        self.0.nudge.send_replace(());
        Ok(deleted)
    }

    /// Reports that a handed-off job is done, with its output. Takes the hand-off token, or the
    /// run id of a program of one job. `false`: there is no such program.
    ///
    /// A report may come before the job has handed off: it is kept until then. The first one wins.
    ///
    /// # Errors
    /// The program has ended, is at another step, or was reported on before; the output is not what the job returns (checked
    /// where this binary has the job); or the store cannot be written to.
    pub async fn complete(
        &self,
        target: impl Into<ReportTarget>,
        output: impl Serialize,
    ) -> Result<bool> {
        self.report_done(target.into().0, &output, Afterwards::Keep)
            .await
    }

    /// As [`complete`](Executor::complete), and deletes the program in the same commit where this was
    /// its last job. A report that comes while the job that handed off still runs ends the program later:
    /// then it stays.
    ///
    /// # Errors
    /// As [`complete`](Executor::complete).
    pub async fn complete_and_delete(
        &self,
        target: impl Into<ReportTarget>,
        output: impl Serialize,
    ) -> Result<bool> {
        self.report_done(target.into().0, &output, Afterwards::Delete)
            .await
    }

    async fn report_done(
        &self,
        target: Target,
        output: &impl Serialize,
        then: Afterwards,
    ) -> Result<bool> {
        let output = json::write(output)
            .map_err(|e| Error::new(ErrorKind::InvalidData, format!("the output: {e}")))?;
        let output = output.get().to_owned();
        self.check_output(&target, &output).await?;
        let done = self.store().complete(target, Some(output), then).await?;
        self.0.nudge.send_replace(());
        Ok(done)
    }

    /// A wrong output would be found by the jobs after it only, when nobody can mend it any more.
    async fn check_output(&self, target: &Target, output: &str) -> Result<()> {
        let Some(program) = self.get(target.run_id()).await? else {
            return Ok(());
        };
        let step = match target {
            Target::Token(token) => token.step(),
            Target::RunId(_) => program.step,
        };
        let job = program
            .jobs
            .get(step)
            .map(String::as_str)
            .unwrap_or_default();
        match Registry::global()?.get(job) {
            Some(definition) => (definition.check_output)(output).map_err(|e| {
                Error::new(
                    ErrorKind::InvalidData,
                    format!("the output is not what the job {job:?} returns: {e}"),
                )
            }),
            None => Ok(()),
        }
    }

    /// Reports that a handed-off job has failed: the program ends as errored. Takes the hand-off
    /// token, or the run id of a program of one job. `false`: there is no such program.
    ///
    /// # Errors
    /// The program has ended, is at another step, or was reported on before; or the store cannot be
    /// written to.
    pub async fn fail(
        &self,
        target: impl Into<ReportTarget>,
        message: impl Into<String>,
    ) -> Result<bool> {
        self.report_failed(target.into().0, message.into(), Afterwards::Keep)
            .await
    }

    /// As [`fail`](Executor::fail), and deletes the program.
    ///
    /// # Errors
    /// As [`fail`](Executor::fail).
    pub async fn fail_and_delete(&self, target: impl Into<ReportTarget>) -> Result<bool> {
        self.report_failed(target.into().0, String::new(), Afterwards::Delete)
            .await
    }

    async fn report_failed(
        &self,
        target: Target,
        message: String,
        then: Afterwards,
    ) -> Result<bool> {
        let failed = self.store().fail(target, message, then).await?;
        self.0.nudge.send_replace(());
        Ok(failed)
    }

    /// Takes a program out of the workers' hands: it waits for `complete` or `fail`, or for its
    /// `retry_after`. `false`: there is no such program.
    ///
    /// # Errors
    /// The program has ended, or the store cannot be written to.
    pub async fn hand_off(&self, run_id: &RunId) -> Result<bool> {
        let handed = self.store().hand_off(run_id.clone()).await?;
        self.0.nudge.send_replace(());
        Ok(handed)
    }

    /// Makes an unfinished program due at this time. Where a job of it runs now, its result counts
    /// no more, and the step runs again when that body has ended, or its lease. `false`: there is no such
    /// program.
    ///
    /// # Errors
    /// The program has ended, or the store cannot be written to.
    pub async fn reschedule(&self, run_id: &RunId, at: SystemTime) -> Result<bool> {
        let done = self.store().reschedule(run_id.clone(), at.into()).await?;
        self.0.nudge.send_replace(());
        Ok(done)
    }

    /// Sets the attributes that are named, and leaves the others. `false`: there is no such
    /// program.
    ///
    /// # Errors
    /// The attributes are no object, or the store cannot be written to.
    pub async fn set_attributes(&self, run_id: &RunId, attributes: impl Serialize) -> Result<bool> {
        let fields = json::write(&attributes)
            .ok()
            .filter(|raw| raw.get().starts_with('{'))
            .ok_or_else(|| Error::new(ErrorKind::InvalidData, "attributes must be an object"))?;
        self.store()
            .set_attributes(run_id.clone(), fields.get().to_owned())
            .await
    }

    /// Sets after which time the program comes back when it is handed off; `None`: it waits for a
    /// report for ever. One that waits already counts from now. `false`: there is no such program.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn set_retry_after(&self, run_id: &RunId, delay: Option<Duration>) -> Result<bool> {
        self.store().set_retry_after(run_id.clone(), delay).await
    }

    /// Stops all workers from claiming programs of this queue; what runs goes on with its present
    /// step. `false`: it was paused already.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn pause(&self, queue: &str) -> Result<bool> {
        self.store().set_paused(queue.to_owned(), true).await
    }

    /// Lets the workers claim programs of this queue again. `false`: it was not paused.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn resume(&self, queue: &str) -> Result<bool> {
        self.store().set_paused(queue.to_owned(), false).await
    }

    /// Creates or upgrades the tables; the names of the migrations that were applied.
    ///
    /// # Errors
    /// The tables are of a newer version, a foreign table has the name, or the store cannot be
    /// written to.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        self.store().migrate().await
    }
}

/// What a report from outside is about: a hand-off token, or the run id of a program of one job.
pub struct ReportTarget(Target);

impl From<HandOffToken> for ReportTarget {
    fn from(token: HandOffToken) -> Self {
        Self(Target::Token(token))
    }
}

impl From<&HandOffToken> for ReportTarget {
    fn from(token: &HandOffToken) -> Self {
        Self(Target::Token(token.clone()))
    }
}

impl From<RunId> for ReportTarget {
    fn from(run_id: RunId) -> Self {
        Self(Target::RunId(run_id))
    }
}

impl From<&RunId> for ReportTarget {
    fn from(run_id: &RunId) -> Self {
        Self(Target::RunId(run_id.clone()))
    }
}
