//! How an executor is set up.

use std::{sync::Arc, time::Duration};

use super::Executor;
use crate::{
    broker,
    config::{Config, Interop, UnknownJob, Worked, keep},
    error::Result,
    event::{ErrorHook, Event, Events},
    job::States,
    retry::back_off,
    store,
};

/// Settings of an [`Executor`], on top of those of the environment: what is set here wins.
///
/// ```no_run
/// use std::time::Duration;
///
/// struct Mailer;
///
/// #[tokio::main]
/// async fn main() -> executor::Result<()> {
///     executor::builder()
///         .state(Mailer)
///         .queues(["mail", "default"])
///         .slots_of("mail", 10)
///         .slots(20)
///         .shutdown_grace(Duration::from_secs(10))
///         .run()
///         .await
/// }
/// ```
#[must_use = "settings do nothing until `.run()` or `.connect()`"]
pub struct Builder {
    changes: Vec<Change>,
    states: States,
    on_error: Vec<ErrorHook>,
}

type Change = Box<dyn FnOnce(&mut Config) -> Result<()> + Send>;

/// The settings of an executor, to be changed and then run or connected.
pub fn builder() -> Builder {
    Builder {
        changes: Vec::new(),
        states: States::default(),
        on_error: Vec::new(),
    }
}

impl Builder {
    fn set(mut self, change: impl FnOnce(&mut Config) -> Result<()> + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Where the store is (`DATABASE_URL`): `sqlite:path/to/file.db`; `sqlite:executor.db` unless
    /// said otherwise.
    pub fn database_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set(move |config| {
            config.database_url = url.parse()?;
            Ok(())
        })
    }

    /// The name of the programs' table (`EXECUTOR_TABLE`); `programs` unless said otherwise.
    pub fn table(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.set(move |config| {
            config.table = name.parse()?;
            Ok(())
        })
    }

    /// The schema of the tables on PostgreSQL (`EXECUTOR_SCHEMA`); the connection's own unless said
    /// otherwise. It is made when it is missing.
    pub fn schema(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.set(move |config| {
            config.schema = Some(name);
            Ok(())
        })
    }

    /// Where the server itself is (`EXECUTOR_LISTEN_URL`), when the database's URL leads to a pooler
    /// such as PgBouncer in transaction mode, through which PostgreSQL's messages are not heard.
    pub fn listen_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set(move |config| {
            config.listen_url = Some(url.parse()?);
            Ok(())
        })
    }

    /// Where RabbitMQ is (`AMQP_URL`), to hand programs to the workers: `amqp://user:password@host/vhost`,
    /// or `amqps://` with TLS. The store stays the truth: without RabbitMQ, workers go on from there.
    ///
    /// ```no_run
    /// # async fn test() -> executor::Result<()> {
    /// let executor = executor::builder()
    ///     .database_url("postgres://localhost/app")
    ///     .amqp_url("amqp://guest:guest@localhost/%2f")
    ///     .connect()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn amqp_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set(move |config| {
            config.amqp_url = Some(url.parse()?);
            Ok(())
        })
    }

    /// What the names of RabbitMQ's queues begin with (`EXECUTOR_AMQP_PREFIX`): `emails.` makes the queue
    /// `default` one that is named `emails.default`. The table's name and a dot unless said otherwise, behind
    /// the schema's where one is set.
    pub fn amqp_prefix(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.set(move |config| {
            config.amqp_prefix = Some(prefix);
            Ok(())
        })
    }

    /// Shares the table and RabbitMQ's queues with another system's producers and workers
    /// (`EXECUTOR_INTEROP`): programs of both go to the workers of both. `EXECUTOR_TABLE` and
    /// `EXECUTOR_QUEUE` are that system's then; see `docs/program-executor/`.
    ///
    /// ```no_run
    /// # async fn test() -> executor::Result<()> {
    /// executor::builder()
    ///     .database_url("postgres://localhost/app")
    ///     .amqp_url("amqp://guest:guest@localhost/%2f")
    ///     .interop(executor::Interop::ProgramExecutor)
    ///     .table("programs")
    ///     .queues(["program-executor"])
    ///     .run()
    ///     .await
    /// # }
    /// ```
    pub fn interop(self, with: Interop) -> Self {
        self.set(move |config| {
            config.interop = Some(with);
            Ok(())
        })
    }

    /// The queues that a worker works (`EXECUTOR_QUEUE`, with commas); `default` unless said
    /// otherwise.
    pub fn queues<Q: Into<String>>(self, queues: impl IntoIterator<Item = Q>) -> Self {
        let worked = |queue: Q| Worked::from(queue.into());
        let queues = queues.into_iter().map(worked).collect();
        self.set(move |config| {
            config.worker.queues = queues;
            Ok(())
        })
    }

    /// The queues as the command line lists them.
    #[cfg(feature = "cli")]
    pub(crate) fn queue_list(self, list: Vec<String>) -> Self {
        self.set(move |config| config.worker.take_list(&list))
    }

    /// How many programs a worker runs at once (`EXECUTOR_SLOTS`), of all queues together that have no
    /// slots of their own; 50 unless said otherwise.
    pub fn slots(self, slots: usize) -> Self {
        self.set(move |config| {
            config.worker.slots = slots;
            Ok(())
        })
    }

    /// Gives a queue slots of its own (`EXECUTOR_QUEUE=mail:10`): so many programs of it run at once, however
    /// busy the worker's other queues are, and those are not kept from their slots by it. A queue without any
    /// shares the worker's [`slots`](Builder::slots) with all others that have none.
    ///
    /// ```no_run
    /// # async fn test() -> executor::Result<()> {
    /// executor::builder()
    ///     .queues(["mail", "reports", "default"])
    ///     .slots_of("mail", 10)
    ///     .slots_of("reports", 2)
    ///     .run()
    ///     .await
    /// # }
    /// ```
    pub fn slots_of(self, queue: impl Into<String>, slots: usize) -> Self {
        let queue = queue.into();
        self.set(move |config| {
            config.worker.slots_of.insert(queue, slots);
            Ok(())
        })
    }

    /// How long a claim holds without a heartbeat (`EXECUTOR_LEASE`); 15 s unless said otherwise.
    pub fn lease(self, lease: Duration) -> Self {
        self.set(move |config| {
            config.worker.lease = lease;
            Ok(())
        })
    }

    /// How long running jobs may go on when the worker is told to stop
    /// (`EXECUTOR_SHUTDOWN_GRACE`); 30 s unless said otherwise.
    pub fn shutdown_grace(self, grace: Duration) -> Self {
        self.set(move |config| {
            config.worker.shutdown_grace = grace;
            Ok(())
        })
    }

    /// How long a cancelled job may go on before it is dropped (`EXECUTOR_CANCEL_GRACE`); 5 s
    /// unless said otherwise.
    pub fn cancel_grace(self, grace: Duration) -> Self {
        self.set(move |config| {
            config.worker.cancel_grace = grace;
            Ok(())
        })
    }

    /// How often a worker may die in one step before its program is errored
    /// (`EXECUTOR_MAX_CRASHES`); 20 unless said otherwise.
    pub fn max_crashes(self, crashes: u32) -> Self {
        self.set(move |config| {
            config.worker.max_crashes = crashes;
            Ok(())
        })
    }

    /// What a worker does with a program whose next job it does not have
    /// (`EXECUTOR_UNKNOWN_JOB`); it leaves it to others unless said otherwise.
    pub fn unknown_job(self, unknown_job: UnknownJob) -> Self {
        self.set(move |config| {
            config.worker.unknown_job = unknown_job;
            Ok(())
        })
    }

    /// How many bytes of programs' data a worker holds at most; 32 MiB unless said otherwise. A
    /// single program is always let in.
    pub fn memory_budget(self, bytes: usize) -> Self {
        self.set(move |config| {
            config.worker.memory_budget = bytes;
            Ok(())
        })
    }

    /// How long finished programs are kept (`EXECUTOR_RETAIN_FINISHED`), like `"7d"`, or
    /// `"forever"`, as it is unless said otherwise. Workers delete those that are older.
    ///
    /// ```no_run
    /// # async fn test() -> executor::Result<()> {
    /// executor::builder()
    ///     .retain_finished("7d")
    ///     .retain_errored("30d")
    ///     .retain_finished_of("audit", "forever")
    ///     .run()
    ///     .await
    /// # }
    /// ```
    pub fn retain_finished(self, age: impl Into<String>) -> Self {
        let age = age.into();
        self.set(move |config| {
            config.worker.retention.finished.age = keep(&age)?;
            Ok(())
        })
    }

    /// How long finished programs of this queue are kept.
    pub fn retain_finished_of(self, queue: impl Into<String>, age: impl Into<String>) -> Self {
        let (queue, age) = (queue.into(), age.into());
        self.set(move |config| {
            let finished = &mut config.worker.retention.finished;
            finished.queues.insert(queue, keep(&age)?);
            Ok(())
        })
    }

    /// How long errored programs are kept (`EXECUTOR_RETAIN_ERRORED`), like `"30d"`, or
    /// `"forever"`, as it is unless said otherwise. Workers delete those that are older.
    pub fn retain_errored(self, age: impl Into<String>) -> Self {
        let age = age.into();
        self.set(move |config| {
            config.worker.retention.errored.age = keep(&age)?;
            Ok(())
        })
    }

    /// How long errored programs of this queue are kept.
    pub fn retain_errored_of(self, queue: impl Into<String>, age: impl Into<String>) -> Self {
        let (queue, age) = (queue.into(), age.into());
        self.set(move |config| {
            let errored = &mut config.worker.retention.errored;
            errored.queues.insert(queue, keep(&age)?);
            Ok(())
        })
    }

    /// Hands the jobs a value that they ask for as [`State<T>`](crate::State); one of each type.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Calls `hook` with each [`Event::Errored`] of this process's workers, from the worker's own
    /// tasks: it should be quick.
    pub fn on_program_error(mut self, hook: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_error.push(Arc::new(hook));
        self
    }

    /// Connects, and creates or upgrades the tables.
    ///
    /// # Errors
    /// A setting is wrong, the store cannot be reached, or its tables are of a newer version.
    pub async fn connect(self) -> Result<Executor> {
        let executor = self.open().await?;
        executor.migrate().await?;
        Ok(executor)
    }

    /// As [`connect`](Builder::connect), and waits for a server that is not up yet.
    pub(crate) async fn connect_when_up(self) -> Result<Executor> {
        let executor = self.open().await?;
        let mut failed = 0;
        loop {
            match executor.migrate().await {
                Err(error) if error.is_away() => {
                    if failed == 0 {
                        tracing::warn!(%error, "waiting for the store");
                    }
                    failed += 1;
                    tokio::time::sleep(back_off(failed)).await;
                }
                Ok(_) => {
                    if failed > 0 {
                        tracing::info!("the store is there");
                    }
                    return Ok(executor);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`connect`](Builder::connect), with the tables left as they are.
    pub(crate) async fn open(self) -> Result<Executor> {
        let mut config = Config::from_env()?;
        for change in self.changes {
            change(&mut config)?;
        }
        config.check()?;
        config.database_url = config.database_url.resolved();
        let store = store::connect(&config).await?;
        let broker = broker::connect(&config, &store)?;
        config.complete();
        Ok(Executor::new(
            config,
            store,
            broker,
            self.states,
            Events::new(self.on_error),
        ))
    }
}
