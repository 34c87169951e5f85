//! Schedules: when a named program is started by itself.

mod definition;
mod due;
mod make;
mod slot;
mod stored;
mod timetable;

use std::{fmt, str::FromStr};

use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) use self::{
    definition::Definitions,
    due::{MOST, due},
    make::make,
    stored::{StoredSchedule, unknown},
    timetable::Timetable,
};
pub use self::{
    definition::ScheduleDefinition,
    slot::{Slot, SlotParam},
};
use crate::{
    error::{Error, ErrorKind, Result},
    json,
    run_id::RunId,
    time::Timestamp,
};

/// What becomes of slots that passed while no worker was there to fill them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// They are left out: a slot is filled up to a minute late, and not later.
    None,
    /// The newest of them is filled.
    #[default]
    Last,
    /// All of them are filled, up to the newest 1,000.
    All,
}

impl CatchUp {
    const ALL: [Self; 3] = [Self::None, Self::Last, Self::All];

    /// It as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Last => "last",
            Self::All => "all",
        }
    }
}

impl fmt::Display for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CatchUp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidData,
                format!("{text:?} is not one of none, last, all"),
            )
        })
    }
}

/// A schedule to be set: it starts a named program at the times that a cron line names.
///
/// The line has five fields (minute, hour, day of the month, month, day of the week), or six with seconds
/// first; `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` stand for the usual ones. Where days of
/// the month and of the week are both given, either suffices.
///
/// ```
/// use executor::{CatchUp, Schedule};
///
/// let vip_campaign = Schedule::new("campaign", "30 8 * * MON-FRI")
///     .named("vip campaign")
///     .argument("segment", "vip")
///     .timezone("Europe/Budapest")
///     .catch_up(CatchUp::None);
/// # let _ = vip_campaign;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a schedule does nothing until it is set: `executor.schedules().set(…).await?`"]
pub struct Schedule {
    pub(crate) name: String,
    pub(crate) program: String,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) cron: String,
    pub(crate) timezone: String,
    pub(crate) catch_up: CatchUp,
}

impl Schedule {
    /// A schedule of this program's name, in UTC, that fills the newest slot it has missed.
    pub fn new(program: impl Into<String>, cron: impl Into<String>) -> Self {
        let program = program.into();
        Self {
            name: program.clone(),
            program,
            arguments: Map::new(),
            cron: cron.into(),
            timezone: UTC.to_owned(),
            catch_up: CatchUp::default(),
        }
    }

    /// With a name of its own: a program may have many schedules.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// In this time zone, by its name in the IANA database.
    pub fn timezone(mut self, timezone: impl Into<String>) -> Self {
        self.timezone = timezone.into();
        self
    }

    /// What becomes of slots that no worker was there to fill.
    pub fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// With an argument for the program.
    pub fn argument(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    /// Its times.
    ///
    /// # Errors
    /// The line or the time zone is wrong, or the name can't be stored.
    pub(crate) fn timetable(&self) -> Result<Timetable> {
        let labels = [
            ("name", &self.name),
            ("cron line", &self.cron),
            ("time zone", &self.timezone),
        ];
        for (what, text) in labels {
            if text.is_empty() || text.len() > 255 || text.contains('\0') {
                let message = format!("a schedule's {what} has 1 to 255 bytes, none of them zero");
                return Err(Error::new(ErrorKind::InvalidData, message));
            }
        }
        Timetable::parse(&self.cron, &self.timezone)
    }

    /// The arguments as text.
    ///
    /// # Errors
    /// They can't be stored.
    pub(crate) fn arguments_text(&self) -> Result<String> {
        let text = json::write(&self.arguments);
        let text =
            text.map_err(|e| Error::new(ErrorKind::InvalidData, format!("arguments: {e}")))?;
        Ok(text.get().to_owned())
    }
}

/// The time zone of a schedule that names none.
const UTC: &str = "UTC";

/// Where a schedule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleSource {
    /// From a `#[program]` with a `schedule`.
    Code,
    /// It was set at run time.
    Runtime,
}

/// All that the store knows of a schedule, and when it is due.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// Its name.
    pub name: String,
    /// The program that it starts.
    pub program: String,
    /// The program's arguments.
    pub arguments: Value,
    /// The cron line.
    pub cron: String,
    /// The time zone in which that is read.
    pub timezone: String,
    /// What becomes of slots that no worker was there to fill.
    pub catch_up: CatchUp,
    /// Where it comes from.
    pub source: ScheduleSource,
    /// When somebody has changed at run time what the code says; the change holds until the schedule is
    /// deleted.
    pub edited_at: Option<Timestamp>,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// When it was made, changed or resumed: slots come after that.
    pub changed_at: Timestamp,
    /// The last slot that was filled.
    pub last_slot: Option<Timestamp>,
    /// The program that was started for it.
    pub last_run_id: Option<RunId>,
    /// Why the slot that is due can't be filled.
    pub error_message: Option<String>,
    /// The next slots; none where it is paused.
    pub next: Vec<Timestamp>,
    /// In which way it differs from the code of this binary, or can't run in it.
    pub remark: Option<String>,
}
