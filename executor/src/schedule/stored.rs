//! A schedule as the store has it.

use serde_json::Value;

use super::{CatchUp, ScheduleDefinition, ScheduleInfo, ScheduleSource, Timetable};
use crate::{
    error::{Error, ErrorKind, Result},
    run_id::RunId,
    suggest,
    time::Timestamp,
};

/// A schedule as the store has it, and the store's clock.
#[derive(Clone, Debug)]
pub(crate) struct StoredSchedule {
    pub(crate) name: String,
    pub(crate) program: String,
    pub(crate) arguments: String,
    pub(crate) cron: String,
    pub(crate) timezone: String,
    pub(crate) catch_up: CatchUp,
    pub(crate) source: ScheduleSource,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) paused_at: Option<Timestamp>,
    pub(crate) changed_at: Timestamp,
    pub(crate) last_slot: Option<Timestamp>,
    pub(crate) last_run_id: Option<RunId>,
    pub(crate) error_message: Option<String>,
    pub(crate) now: Timestamp,
}

impl StoredSchedule {
    /// Slots come after this.
    pub(crate) fn after(&self) -> Timestamp {
        let last = self.last_slot.unwrap_or(self.changed_at);
        last.max(self.changed_at)
    }

    pub(crate) fn timetable(&self) -> Result<Timetable> {
        Timetable::parse(&self.cron, &self.timezone)
    }

    /// Whether its times are what this definition says.
    pub(crate) fn is_as(&self, definition: &ScheduleDefinition) -> bool {
        self.cron == definition.cron
            && self.timezone == definition.timezone
            && self.catch_up == definition.catch_up
    }

    /// Whether a binary with this definition, if any, starts its programs: one that came out of the code
    /// is not run by a binary that does not have it any more.
    pub(crate) fn is_run_by(&self, definition: Option<&ScheduleDefinition>) -> bool {
        self.source == ScheduleSource::Runtime || definition.is_some()
    }

    /// What people see of it.
    pub(crate) fn info(self, shown: usize, remark: Option<String>) -> ScheduleInfo {
        let (timetable, wrong) = match self.timetable() {
            Ok(timetable) => (Some(timetable), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let timetable = timetable.filter(|_| self.paused_at.is_none());
        let mut next = Vec::with_capacity(shown);
        let mut last = self.after().max(self.now);
        while let Some(slot) = timetable.as_ref().and_then(|t| t.next(last)) {
            if next.len() == shown {
                break;
            }
            next.push(slot);
            last = slot;
        }
        ScheduleInfo {
            arguments: serde_json::from_str(&self.arguments).unwrap_or(Value::Null),
            name: self.name,
            program: self.program,
            cron: self.cron,
            timezone: self.timezone,
            catch_up: self.catch_up,
            source: self.source,
            edited_at: self.edited_at,
            paused_at: self.paused_at,
            changed_at: self.changed_at,
            last_slot: self.last_slot,
            last_run_id: self.last_run_id,
            error_message: self.error_message.or(wrong),
            next,
            remark,
        }
    }
}

/// There is no schedule of this name.
pub(crate) fn unknown(name: &str, known: &[StoredSchedule]) -> Error {
    let hint = match suggest::nearest(name, known.iter().map(|schedule| &*schedule.name)) {
        Some(near) => format!("; did you mean {near:?}?"),
        None => String::new(),
    };
    Error::new(
        ErrorKind::NotFound,
        format!("no schedule is named {name:?}{hint}"),
    )
}
