//! The time for which a schedule starts a program.

use std::{fmt, str::FromStr, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    error::{Error, ErrorKind, Result},
    program::Arguments,
    time::Timestamp,
};

/// The time for which a schedule starts a program: an argument of this type (or of `Option<Slot>`, where
/// the program is started by hand as well) gets it, and can be handed on to jobs.
///
/// It is the time that the schedule names, not that at which the program is made: a slot that is caught up
/// with lies behind. By hand it is given as RFC 3339, `--slot 2026-11-25T03:00:00Z`.
///
/// ```
/// use executor::{Slot, prelude::*};
///
/// #[job]
/// async fn report(day: Option<Slot>) -> Result<(), JobError> {
///     println!("the report of {day:?}");
///     Ok(())
/// }
///
/// #[program(name = "report", schedule = "0 3 * * *", timezone = "Europe/Budapest")]
/// fn nightly(slot: Option<Slot>) -> impl IntoProgram {
///     Report { day: slot }
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(Timestamp);

impl Slot {
    /// The slot of this time.
    pub fn new(time: SystemTime) -> Self {
        Self(time.into())
    }

    pub(crate) fn at(time: Timestamp) -> Self {
        Self(time)
    }

    /// Its time.
    pub fn time(self) -> SystemTime {
        self.0.into()
    }

    /// Its time, as the store counts it.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

/// As RFC 3339 in UTC.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Slot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let time = humantime::parse_rfc3339(text).map_err(|e| {
            Error::new(
                ErrorKind::InvalidData,
                format!("{text:?} is no slot ({e}); write it like 2026-11-25T03:00:00Z"),
            )
        })?;
        Ok(Self::new(time))
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// An argument of a program that gets the slot, and no other type of that name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not executor's `Slot`",
    label = "an argument of a type named `Slot` gets the time for which a schedule starts the program",
    note = "use `executor::Slot`, or give your own type another name"
)]
pub trait SlotParam: Sized {
    /// The slot, which must be there.
    ///
    /// # Errors
    /// It is missing, or no slot.
    fn required(given: &mut Arguments, name: &'static str) -> Result<Self>;

    /// The slot, if there is one.
    ///
    /// # Errors
    /// It is no slot.
    fn optional(given: &mut Arguments, name: &'static str) -> Result<Option<Self>>;
}

impl SlotParam for Slot {
    fn required(given: &mut Arguments, name: &'static str) -> Result<Self> {
        match Self::optional(given, name)? {
            Some(slot) => Ok(slot),
            None => given.take(name),
        }
    }

    fn optional(given: &mut Arguments, name: &'static str) -> Result<Option<Self>> {
        Ok(given.take_optional(name)?.or(given.slot()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_it_is_read() {
        let slot: Slot = "2026-11-25T03:00:00Z".parse().expect("a slot");
        let text = serde_json::to_string(&slot).expect("written");
        assert_eq!(text, "\"2026-11-25T03:00:00.000Z\"");
        assert_eq!(serde_json::from_str::<Slot>(&text).expect("read"), slot);
        let error = "tomorrow".parse::<Slot>().expect_err("no time");
        assert!(error.to_string().starts_with("\"tomorrow\" is no slot"));
    }

    #[test]
    fn what_is_given_by_hand_wins() {
        let by_hand = || Arguments::new().text("slot", "2026-11-25T03:00:00Z");
        let slot = Slot::at(Timestamp::from_millis(0));
        let mut given = by_hand().with_slot(slot);
        let taken = Slot::optional(&mut given, "slot").expect("a slot");
        assert_eq!(
            taken.map(|s| s.to_string()).as_deref(),
            Some("2026-11-25T03:00:00.000Z")
        );
        assert_eq!(Slot::required(&mut given, "slot").expect("a slot"), slot);
        let error = Slot::required(&mut Arguments::new(), "slot").expect_err("missing");
        assert_eq!(error.to_string(), "the argument \"slot\" is missing");
    }
}
