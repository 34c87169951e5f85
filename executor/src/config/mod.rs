//! The settings, from the environment and the builder.

mod address;
mod queues;
mod retention;
mod table;

use std::{collections::BTreeMap, str::FromStr, time::Duration};

pub(crate) use self::{
    address::{AmqpUrl, DatabaseUrl, Scheme},
    queues::{Share, Worked},
    retention::{Keep, Retention, keep},
    table::TableName,
};

use crate::error::{Error, ErrorKind, Result};

/// The queue of programs that name none.
pub(crate) const DEFAULT_QUEUE: &str = "default";

/// All settings of an [`Executor`](crate::Executor) and its workers.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) database_url: DatabaseUrl,
    pub(crate) table: TableName,
    /// The schema of the tables, on PostgreSQL.
    pub(crate) schema: Option<String>,
    /// Where messages are heard, on PostgreSQL: the server itself, when a pooler is in between.
    pub(crate) listen_url: Option<DatabaseUrl>,
    /// Where RabbitMQ is, if it hands out the programs.
    pub(crate) amqp_url: Option<AmqpUrl>,
    /// What the names of its queues begin with, in place of the table's name and a dot.
    pub(crate) amqp_prefix: Option<String>,
    /// Whose workers run programs of the same table and the same queues.
    pub(crate) interop: Option<Interop>,
    pub(crate) worker: WorkerConfig,
}

/// How a worker works.
#[derive(Clone, Debug)]
pub(crate) struct WorkerConfig {
    pub(crate) queues: Vec<Worked>,
    /// The slots of the queues that have none of their own.
    pub(crate) slots: usize,
    /// What the program gives single queues; it wins over their list.
    pub(crate) slots_of: BTreeMap<String, usize>,
    /// How long a claim holds without a heartbeat; heartbeats come at a third of it.
    pub(crate) lease: Duration,
    /// How long running jobs may go on after the worker is told to stop.
    pub(crate) shutdown_grace: Duration,
    /// How long a cancelled body may go on before it is dropped.
    pub(crate) cancel_grace: Duration,
    /// Takeovers of one step after which its program is errored.
    pub(crate) max_crashes: u32,
    pub(crate) unknown_job: UnknownJob,
    /// Bytes of program data that a worker holds at most (one program is always let in).
    pub(crate) memory_budget: usize,
    pub(crate) retention: Retention,
}

/// What a worker does with a program whose next job it does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownJob {
    /// It leaves the program to workers that have the job.
    #[default]
    Wait,
    /// It skips the job with a warning, as program-executor does.
    Skip,
    /// The program ends as errored.
    Fail,
}

/// Another system whose producers and workers share the table and the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interop {
    /// The JavaScript program-executor.
    ProgramExecutor,
}

impl FromStr for Interop {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "program-executor" => Ok(Self::ProgramExecutor),
            _ => Err(Error::new(
                ErrorKind::Configuration,
                format!("{text:?} is not known; \"program-executor\" is"),
            )),
        }
    }
}

impl FromStr for UnknownJob {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "wait" => Ok(Self::Wait),
            "skip" => Ok(Self::Skip),
            "fail" => Ok(Self::Fail),
            _ => Err(Error::new(
                ErrorKind::Configuration,
                format!("{text:?} is not one of wait, skip, fail"),
            )),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: DatabaseUrl::default(),
            table: TableName::default(),
            schema: None,
            listen_url: None,
            amqp_url: None,
            amqp_prefix: None,
            interop: None,
            worker: WorkerConfig {
                queues: vec![Worked::from(DEFAULT_QUEUE.to_owned())],
                slots: 50,
                slots_of: BTreeMap::new(),
                lease: Duration::from_secs(15),
                shutdown_grace: Duration::from_secs(30),
                cancel_grace: Duration::from_secs(5),
                max_crashes: 20,
                unknown_job: UnknownJob::Wait,
                memory_budget: 32 << 20,
                retention: Retention::default(),
            },
        }
    }
}

impl Config {
    /// The defaults, and over them what the environment says.
    pub(crate) fn from_env() -> Result<Self> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut config = Self::default();
        let set = |name: &str, apply: &mut dyn FnMut(&str) -> Result<()>| match lookup(name) {
            Some(value) if !value.is_empty() => apply(&value)
                .map_err(|e| Error::new(ErrorKind::Configuration, format!("{name}: {e}"))),
            _ => Ok(()),
        };
        set("DATABASE_URL", &mut |v| {
            config.database_url = v.parse()?;
            Ok(())
        })?;
        set("EXECUTOR_TABLE", &mut |v| {
            config.table = v.parse()?;
            Ok(())
        })?;
        set("EXECUTOR_SCHEMA", &mut |v| {
            config.schema = Some(v.to_owned());
            Ok(())
        })?;
        set("EXECUTOR_LISTEN_URL", &mut |v| {
            config.listen_url = Some(v.parse()?);
            Ok(())
        })?;
        set("AMQP_URL", &mut |v| {
            config.amqp_url = Some(v.parse()?);
            Ok(())
        })?;
        set("EXECUTOR_AMQP_PREFIX", &mut |v| {
            config.amqp_prefix = Some(v.to_owned());
            Ok(())
        })?;
        set("EXECUTOR_INTEROP", &mut |v| {
            config.interop = Some(v.parse()?);
            Ok(())
        })?;
        let worker = &mut config.worker;
        set("EXECUTOR_QUEUE", &mut |v| {
            worker.queues = queues::read(v.split(','))?;
            Ok(())
        })?;
        set("EXECUTOR_SLOTS", &mut |v| {
            worker.slots = v.parse()?;
            Ok(())
        })?;
        set("EXECUTOR_LEASE", &mut |v| {
            worker.lease = duration(v)?;
            Ok(())
        })?;
        set("EXECUTOR_SHUTDOWN_GRACE", &mut |v| {
            worker.shutdown_grace = duration(v)?;
            Ok(())
        })?;
        set("EXECUTOR_CANCEL_GRACE", &mut |v| {
            worker.cancel_grace = duration(v)?;
            Ok(())
        })?;
        set("EXECUTOR_MAX_CRASHES", &mut |v| {
            worker.max_crashes = v.parse()?;
            Ok(())
        })?;
        set("EXECUTOR_RETAIN_FINISHED", &mut |v| {
            worker.retention.finished.age = keep(v)?;
            Ok(())
        })?;
        set("EXECUTOR_RETAIN_ERRORED", &mut |v| {
            worker.retention.errored.age = keep(v)?;
            Ok(())
        })?;
        set("EXECUTOR_UNKNOWN_JOB", &mut |v| {
            worker.unknown_job = v.parse()?;
            Ok(())
        })?;
        Ok(config)
    }

    /// What follows from the settings: rows of program-executor's are in the queue `default`, whatever
    /// RabbitMQ's queue is named, and share its slots.
    pub(crate) fn complete(&mut self) {
        let queues = &mut self.worker.queues;
        let is_default = |worked: &Worked| worked.queue == DEFAULT_QUEUE;
        if self.interop.is_some() && !queues.iter().any(is_default) {
            queues.push(Worked {
                goes_with_the_first: true,
                ..Worked::from(DEFAULT_QUEUE.to_owned())
            });
        }
    }

    /// Whether the settings can work together.
    pub(crate) fn check(&self) -> Result<()> {
        let fail = |text: &str| Err(Error::new(ErrorKind::Configuration, text));
        let worker = &self.worker;
        if self.schema.is_some() && self.database_url.scheme() != Scheme::Postgres {
            return fail(
                "EXECUTOR_SCHEMA is for PostgreSQL; elsewhere choose another table or database",
            );
        }
        if self.interop.is_some() {
            if self.amqp_url.is_none() {
                return fail(
                    "interop needs RabbitMQ: set AMQP_URL to the amqpUrl of program-executor",
                );
            }
            if self.amqp_prefix.is_some() {
                return fail(
                    "with interop RabbitMQ's queues have the names of EXECUTOR_QUEUE, and no prefix",
                );
            }
        }
        worker.check_queues()?;
        if worker.lease < Duration::from_millis(300) || worker.lease > LONGEST_LEASE {
            return fail("the lease must be at least 300ms and at most a day");
        }
        if worker.shutdown_grace > 365 * DAY || worker.cancel_grace > 365 * DAY {
            return fail("a grace time must be at most a year");
        }
        Ok(())
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What workers, and those who receive programs, may ask for.
pub(crate) const LONGEST_LEASE: Duration = DAY;

fn duration(text: &str) -> Result<Duration> {
    humantime::parse_duration(text).map_err(|e| {
        Error::new(
            ErrorKind::Configuration,
            format!("{text:?} is no duration ({e}); write it like \"30s\" or \"5m\""),
        )
    })
}

/// The name of this machine, for display.
pub(crate) fn host_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "unknown".to_owned());
    host.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_url_has_no_password() {
        let url: DatabaseUrl = "postgres://ada:secret@db/app?password=x"
            .parse()
            .expect("a URL");
        assert_eq!(format!("{url:?}"), "postgres://ada@db/app");
        let url: DatabaseUrl = "mysql://ada:se@cret@db/app".parse().expect("a URL");
        assert_eq!(url.to_string(), "mysql://ada@db/app");
        let url: DatabaseUrl = "sqlite:a@b.db".parse().expect("a URL");
        assert_eq!(url.to_string(), "sqlite:a@b.db");
        let url: AmqpUrl = "amqps://ada:secret@mq/%2f".parse().expect("a URL");
        assert_eq!(
            format!("{url:?} {url}"),
            "amqps://ada@mq/%2f amqps://ada@mq/%2f"
        );
    }

    #[test]
    fn a_queue_may_be_kept_longer() {
        let lookup = |name: &str| (name == "EXECUTOR_RETAIN_ERRORED").then(|| "30d".to_owned());
        let mut retention = Config::from_lookup(lookup)
            .expect("settings")
            .worker
            .retention;
        assert_eq!(retention.errored.of("mail"), Some(30 * DAY));
        assert_eq!(retention.finished.ages().count(), 0);
        let own = keep("forever").expect("a time");
        retention.errored.queues.insert("mail".to_owned(), own);
        assert_eq!(retention.errored.of("mail"), None);
        assert_eq!(retention.errored.of("default"), Some(30 * DAY));
    }

    #[test]
    fn bad_settings_name_their_variable() {
        let with = |name: &'static str, value: &'static str| {
            Config::from_lookup(|n| (n == name).then(|| value.to_owned()))
                .map(drop)
                .expect_err("it is wrong")
                .to_string()
        };
        assert!(with("DATABASE_URL", "redis://x").contains("unknown scheme \"redis\""));
        assert!(with("EXECUTOR_SLOTS", "many").starts_with("EXECUTOR_SLOTS: invalid digit"));
        assert!(with("EXECUTOR_LEASE", "soon").contains("is no duration"));
        assert!(with("EXECUTOR_TABLE", "a?b").contains("can't stand there"));
        assert!(with("EXECUTOR_RETAIN_FINISHED", "long").contains("is no duration"));
    }
}
