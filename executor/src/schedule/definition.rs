//! Schedules in code.

use super::{CatchUp, Timetable};
use crate::error::{Error, ErrorKind, Result};

/// A schedule in code, by `#[program(schedule = …)]`.
#[derive(Debug)]
pub struct ScheduleDefinition {
    #[doc(hidden)]
    pub program: &'static str,
    #[doc(hidden)]
    pub cron: &'static str,
    #[doc(hidden)]
    pub timezone: &'static str,
    #[doc(hidden)]
    pub catch_up: CatchUp,
    #[doc(hidden)]
    pub file: &'static str,
    #[doc(hidden)]
    pub line: u32,
}

inventory::collect!(ScheduleDefinition);

/// The schedules of this binary's code, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definitions(Vec<&'static ScheduleDefinition>);

impl Definitions {
    /// All schedules that are linked into this binary.
    ///
    /// # Errors
    /// One can't be read: the text has its place.
    pub(crate) fn collect() -> Result<Self> {
        Self::checked(inventory::iter::<ScheduleDefinition>().collect())
    }

    fn checked(mut all: Vec<&'static ScheduleDefinition>) -> Result<Self> {
        all.sort_unstable_by_key(|definition| definition.program);
        for definition in &all {
            Timetable::parse(definition.cron, definition.timezone).map_err(|e| {
                let ScheduleDefinition {
                    program,
                    file,
                    line,
                    ..
                } = definition;
                Error::new(
                    ErrorKind::Configuration,
                    format!("the schedule of the program {program:?} at {file}:{line}: {e}"),
                )
            })?;
        }
        Ok(Self(all))
    }

    pub(crate) fn all(&self) -> &[&'static ScheduleDefinition] {
        &self.0
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'static ScheduleDefinition> {
        let mut all = self.0.iter().copied();
        all.find(|definition| definition.program == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_start_up_can_see_has_its_place() {
        static NEVER: ScheduleDefinition = ScheduleDefinition {
            program: "nightly",
            cron: "0 3 30 2 *",
            timezone: "UTC",
            catch_up: CatchUp::Last,
            file: "src/main.rs",
            line: 7,
        };
        let error = Definitions::checked(vec![&NEVER])
            .map(drop)
            .expect_err("no such day");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(
            error.to_string(),
            "the schedule of the program \"nightly\" at src/main.rs:7: the time \"0 3 30 2 *\" never comes"
        );
    }
}
