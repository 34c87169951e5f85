//! Instants as the store counts them.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer};

/// An instant by the database's clock, in microseconds since the Unix epoch (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From milliseconds since the Unix epoch; values out of range are clamped.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// The time from `earlier` to this instant; zero when it lies behind.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        Self(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => -micros(before.duration()),
        })
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let span = Duration::from_micros(time.0.unsigned_abs());
        // Both sums stay in range: i64 microseconds reach 292,000 years either way.
        if time.0 >= 0 {
            UNIX_EPOCH + span
        } else {
            UNIX_EPOCH - span
        }
    }
}

/// As RFC 3339 in UTC, with milliseconds: `2026-11-22T03:04:05.678Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // humantime prints the years 1970 to 9999; outside of them the number must do.
        if (0..253_402_300_800_000_000).contains(&self.0) {
            humantime::format_rfc3339_millis(SystemTime::from(*self)).fmt(f)
        } else {
            write!(f, "{}µs", self.0)
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_rfc_3339() {
        let time = Timestamp::from_millis(1_793_329_445_678);
        assert_eq!(time.to_string(), "2026-10-30T03:04:05.678Z");
    }

    #[test]
    fn before_the_epoch_and_far_ahead_do_not_panic() {
        assert_eq!(
            Timestamp::from(SystemTime::from(Timestamp(-5))),
            Timestamp(-5)
        );
        assert_eq!(Timestamp(i64::MAX).to_string(), format!("{}µs", i64::MAX));
    }
}
