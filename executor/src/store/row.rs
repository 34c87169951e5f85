//! Programs as the store shows them.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde::Serialize;
use serde_json::Value;

use crate::{
    error::{Error, ErrorKind},
    hand_off::HandOffToken,
    run_id::RunId,
    time::Timestamp,
};

/// Where a program is in its life. It is derived from the row, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramState {
    /// Due at a later time: not started yet, or between two attempts.
    Scheduled,
    /// Due, and waiting for a free slot.
    Available,
    /// Under a worker's claim.
    Running,
    /// Handed off: waiting for a report from outside.
    Waiting,
    /// All jobs are done.
    Finished,
    /// Ended by an error, or stopped by hand.
    Errored,
}

impl ProgramState {
    /// All states, in the order of a program's life.
    pub const ALL: [Self; 6] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Waiting,
        Self::Finished,
        Self::Errored,
    ];

    /// Whether nothing more happens by itself.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Errored)
    }

    /// The state as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Finished => "finished",
            Self::Errored => "errored",
        }
    }
}

impl fmt::Display for ProgramState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ProgramState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                let known = crate::suggest::hint(text, Self::ALL.map(Self::as_str));
                Error::new(
                    ErrorKind::Usage,
                    format!("there is no state {text:?}{known}"),
                )
            })
    }
}

/// All that the store knows of a program.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProgramInfo {
    /// The program's run id.
    pub run_id: RunId,
    /// The name it was started by, if it has one.
    pub name: Option<String>,
    /// Where it is in its life.
    pub state: ProgramState,
    /// Its queue.
    pub queue: String,
    /// The names of its jobs, in order.
    pub jobs: Vec<String>,
    /// The index of the job that runs or runs next; the number of jobs when all are done.
    pub step: usize,
    /// How often the current job was retried.
    pub step_retry_count: u32,
    /// The data that all its jobs read.
    pub program_data: Value,
    /// The data of its jobs, by their key.
    pub job_data: Value,
    /// What its jobs returned, by their key; `null` is left out.
    pub outputs: Value,
    /// Data about it.
    pub attributes: Value,
    /// Lower runs first.
    pub priority: i32,
    /// When it is due, or was when it was taken; `None`: when something from outside says so.
    pub available_at: Option<Timestamp>,
    /// When the present claim ends without a heartbeat.
    pub lease_until: Option<Timestamp>,
    /// The worker that has it.
    pub worker: Option<String>,
    /// How often a worker died in the current step.
    pub crashes: u32,
    /// The key that no other unfinished program has.
    pub unique_key: Option<String>,
    /// After which time it comes back when it was handed off.
    #[serde(serialize_with = "seconds")]
    pub retry_after: Option<Duration>,
    /// The program that started it.
    pub parent_run_id: Option<RunId>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
    /// When its last job was done.
    pub finished_at: Option<Timestamp>,
    /// When it was errored.
    pub errored_at: Option<Timestamp>,
    /// The last error.
    pub error_message: Option<String>,
    /// The last failed attempts, oldest first.
    pub errors: Vec<Attempted>,
    /// The limit that has no room for it now, where it waits for a limit with a key.
    pub limited_by: Option<String>,
    /// The program whose end it waits for.
    pub waits_for: Option<RunId>,
    /// What `complete` and `fail` take, while the program waits for a report.
    #[serde(serialize_with = "text")]
    pub hand_off_token: Option<HandOffToken>,
}

impl ProgramInfo {
    /// The name of the current job; `None` when all are done.
    pub fn job(&self) -> Option<&str> {
        self.jobs.get(self.step).map(String::as_str)
    }

    /// The last job's output, once the program has finished.
    pub fn output(&self) -> Option<&Value> {
        let last = self.jobs.len().checked_sub(1)?;
        self.outputs.get(crate::job::data_key(&self.jobs, last))
    }

    /// Why it does not run now, in words; `None` when it runs or has ended.
    pub fn reason(&self) -> Option<String> {
        match self.state {
            ProgramState::Scheduled => {
                let due = self
                    .available_at
                    .map_or("later".to_owned(), |t| t.to_string());
                Some(if self.step_retry_count > 0 {
                    format!("retry {} is due at {due}", self.step_retry_count)
                } else {
                    format!("due at {due}")
                })
            }
            ProgramState::Available if self.limited_by.is_some() => {
                let limit = self.limited_by.as_deref().unwrap_or_default();
                Some(format!("waiting for room under the limit {limit}"))
            }
            ProgramState::Available if self.available_at.is_none() => Some(
                "program-executor made it, and its workers run it; `reschedule` makes it ours"
                    .to_owned(),
            ),
            ProgramState::Available => Some("waiting for a free slot of a worker".to_owned()),
            ProgramState::Waiting if self.waits_for.is_some() => self
                .waits_for
                .as_ref()
                .map(|child| format!("waiting for the end of the program {child}")),
            ProgramState::Waiting => {
                let report = match &self.hand_off_token {
                    Some(token) => format!("`complete {token}` or `fail {token}`"),
                    None => "`complete` or `fail`".to_owned(),
                };
                Some(match self.available_at {
                    Some(back) => {
                        format!("handed off; comes back at {back} unless {report} is called")
                    }
                    None => format!("handed off; waits until {report} is called"),
                })
            }
            ProgramState::Running | ProgramState::Finished | ProgramState::Errored => None,
        }
    }
}

fn text<S: serde::Serializer>(token: &Option<HandOffToken>, s: S) -> Result<S::Ok, S::Error> {
    token.as_ref().map(ToString::to_string).serialize(s)
}

fn seconds<S: serde::Serializer>(delay: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    delay.map(|d| d.as_secs_f64()).serialize(s)
}

/// A failed attempt.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Attempted {
    /// When it failed, in UTC.
    pub at: String,
    /// The step.
    pub step: usize,
    /// The job.
    pub job: String,
    /// Which attempt it was, from 1 on.
    pub attempt: u32,
    /// The error, cut at 2 KiB.
    pub error: String,
}

/// How many programs there are.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// By state.
    pub states: BTreeMap<ProgramState, u64>,
    /// By queue; only queues with unfinished programs, and paused ones.
    pub queues: BTreeMap<String, QueueStats>,
}

/// How it stands with a queue.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct QueueStats {
    /// Whether workers leave it alone.
    pub paused: bool,
    /// Unfinished programs by state.
    pub states: BTreeMap<ProgramState, u64>,
}

/// A live worker.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// Its identity, new at each start.
    pub id: String,
    /// For display only.
    pub host: String,
    /// For display only.
    pub pid: u32,
    /// The queues it works.
    pub queues: Vec<String>,
    /// How many programs it runs at once.
    pub slots: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// Its last heartbeat.
    pub seen_at: Timestamp,
}

/// A row as the stores hand it over: one JSON text, in which the user's own texts may be anything.
#[derive(serde::Deserialize)]
#[cfg(feature = "sql")]
pub(super) struct StoredProgram {
    run_id: RunId,
    name: Option<String>,
    state: String,
    queue: String,
    jobs: String,
    step: Option<i64>,
    token: i64,
    step_retry_count: Option<i64>,
    program_data: Option<String>,
    job_data: Option<String>,
    outputs: Option<String>,
    attributes: Option<String>,
    priority: i64,
    available_at: Option<i64>,
    lease_until: Option<i64>,
    worker: Option<String>,
    crashes: i64,
    unique_key: Option<String>,
    retry_after: Option<i64>,
    parent_run_id: Option<RunId>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
    finished_at: Option<i64>,
    errored_at: Option<i64>,
    error_message: Option<String>,
    errors: Option<String>,
    #[serde(default)]
    limited_by: Option<String>,
    #[serde(default)]
    waits_for: Option<RunId>,
}

#[cfg(feature = "sql")]
impl StoredProgram {
    /// The program of a row. A row that somebody has spoilt by hand is shown as far as it goes.
    pub(super) fn read(text: &str) -> ProgramInfo {
        let row: Self = match serde_json::from_str(text) {
            Ok(row) => row,
            Err(error) => {
                tracing::warn!(%error, "a program's row could not be read whole");
                Self::unreadable(text)
            }
        };
        let value = |text: Option<String>| {
            let text = text.unwrap_or_else(|| "null".to_owned());
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        let state = row.state.parse().unwrap_or(ProgramState::Errored);
        let step = usize::try_from(row.step.unwrap_or(0)).unwrap_or(0);
        let token = HandOffToken::new(row.run_id.clone(), step, row.token);
        ProgramInfo {
            run_id: row.run_id,
            name: row.name,
            state,
            limited_by: row.limited_by,
            hand_off_token: (state == ProgramState::Waiting && row.waits_for.is_none())
                .then_some(token),
            waits_for: row.waits_for,
            queue: row.queue,
            jobs: serde_json::from_str(&row.jobs).unwrap_or_default(),
            step,
            step_retry_count: u32::try_from(row.step_retry_count.unwrap_or(0)).unwrap_or(0),
            program_data: value(row.program_data),
            job_data: value(row.job_data),
            outputs: value(row.outputs),
            attributes: value(row.attributes),
            priority: i32::try_from(row.priority).unwrap_or(0),
            available_at: time(row.available_at),
            lease_until: time(row.lease_until),
            worker: row.worker,
            crashes: u32::try_from(row.crashes).unwrap_or(0),
            unique_key: row.unique_key,
            retry_after: row.retry_after.map(|ms| Duration::from_millis(count(ms))),
            parent_run_id: row.parent_run_id,
            created_at: time(row.created_at),
            updated_at: time(row.updated_at),
            finished_at: time(row.finished_at),
            errored_at: time(row.errored_at),
            error_message: row.error_message,
            errors: row
                .errors
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
        }
    }

    fn unreadable(text: &str) -> Self {
        let run_id = serde_json::from_str::<Value>(text)
            .ok()
            .and_then(|row| row.get("run_id")?.as_str().map(RunId::from))
            .unwrap_or_else(|| RunId::from(""));
        Self {
            run_id,
            name: None,
            state: String::new(),
            queue: String::new(),
            jobs: "[]".to_owned(),
            step: None,
            token: 0,
            step_retry_count: None,
            program_data: None,
            job_data: None,
            outputs: None,
            attributes: None,
            priority: 0,
            available_at: None,
            lease_until: None,
            worker: None,
            crashes: 0,
            unique_key: None,
            retry_after: None,
            parent_run_id: None,
            created_at: None,
            updated_at: None,
            finished_at: None,
            errored_at: None,
            error_message: Some("its row can't be read".to_owned()),
            errors: None,
            limited_by: None,
            waits_for: None,
        }
    }
}

/// A count that a database gave, which is never negative.
#[cfg(feature = "sql")]
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
