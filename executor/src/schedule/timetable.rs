//! Which instants a cron line names in a time zone.
//!
//! The cron library finds the next matching time on a wall clock that is never set; what happens where a
//! real clock is set stands here:
//!
//! - A line with fixed hours, minutes and seconds (`30 2 * * *`, `0 9,17 * * *`) names each of its times
//!   once. One that the clock skips is the first instant after the gap; one that the clock passes twice is
//!   the first pass.
//! - A line with a wildcard in one of them (`*/15 * * * *`) follows elapsed time: it names nothing within a
//!   gap, and both passes where the clock is set back.
//!
//! The time zones' rules are compiled in, so that they are the same on all machines that run one binary.

use croner::{
    CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Resolution, errors::CronError,
};
use jiff::{
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

use crate::{
    error::{Error, ErrorKind, Result},
    time::Timestamp,
};

/// A cron line in a time zone.
#[derive(Clone, Debug)]
pub(crate) struct Timetable {
    cron: Cron,
    zone: TimeZone,
    /// Whether it names times of the day, and no wildcard.
    fixed: bool,
}

impl Timetable {
    /// Reads a cron line of five fields, or of six with seconds first, and a time zone's name.
    ///
    /// # Errors
    /// Which of them is wrong, and how it is written.
    pub(crate) fn parse(cron: &str, timezone: &str) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidData, message);
        let parsed: Cron = cron.parse().map_err(|e: CronError| {
            invalid(format!(
                "{cron:?} is no cron line ({}); write minute, hour, day, month and weekday, like \
                 \"0 3 * * *\" or \"*/15 9-17 * * MON-FRI\"",
                reason(&e),
            ))
        })?;
        let zone = TimeZone::get(timezone).map_err(|_| {
            invalid(format!(
                "there is no time zone {timezone:?}; write its name in the IANA database, like \
                 \"Europe/Budapest\" or \"UTC\""
            ))
        })?;
        let wild = [
            &parsed.pattern.seconds,
            &parsed.pattern.minutes,
            &parsed.pattern.hours,
        ]
        .iter()
        .any(|field| field.from_wildcard);
        let timetable = Self {
            cron: parsed,
            zone,
            fixed: !wild,
        };
        if timetable.next(Timestamp::from_micros(0)).is_none() {
            return Err(invalid(format!("the time {cron:?} never comes")));
        }
        Ok(timetable)
    }

    /// The first slot after this instant; `None`: there are no more.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_second(after.as_millis().div_euclid(1000)).ok()?;
        let next = match self.fixed {
            true => self.next_fixed(after),
            false => self.next_elapsed(after),
        };
        next.map(|at| Timestamp::from_millis(at.as_second() * 1000))
    }

    /// The newest slots after one instant and up to another one, oldest first, and not more than so many;
    /// and whether there are older ones.
    pub(crate) fn latest(
        &self,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> (Vec<Timestamp>, bool) {
        const HOUR: i64 = 3_600_000;
        // Looking back further and further: what an outage of a year costs depends on what it gives.
        let mut span = HOUR;
        loop {
            let from = until.as_millis().saturating_sub(span);
            let whole = from <= after.as_millis();
            let from = if whole {
                after
            } else {
                Timestamp::from_millis(from)
            };
            let mut slots: Vec<_> = self.between(from, until).collect();
            if whole || slots.len() > most {
                let surplus = slots.len().saturating_sub(most);
                return (slots.split_off(surplus), surplus > 0);
            }
            span = span.saturating_mul(2);
        }
    }

    fn between(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        let next = move |slot: &Timestamp| self.next(*slot);
        std::iter::successors(self.next(after), next).take_while(move |slot| *slot <= until)
    }

    fn next_fixed(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        // Of the times up to this one, none comes later: both clocks run forward.
        let mut wall = self.zone.to_datetime(after);
        loop {
            wall = self.next_on_the_wall(wall, false)?;
            let at = self.first_instant(wall)?;
            // Where the clock is set back, its second pass names times that have been.
            if at > after {
                return Some(at);
            }
        }
    }

    fn next_elapsed(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.zone.to_offset(from);
            let wall = self.next_on_the_wall(offset.to_datetime(from), inclusive)?;
            let at = offset.to_timestamp(wall).ok()?;
            match self.zone.following(from).next() {
                // The clock is set before that time comes.
                Some(change) if at >= change.timestamp() => {
                    (from, inclusive) = (change.timestamp(), true);
                }
                _ => return Some(at),
            }
        }
    }

    fn next_on_the_wall(&self, wall: DateTime, inclusive: bool) -> Option<DateTime> {
        let found = self
            .cron
            .find_next_occurrence(&Wall::at(wall)?, inclusive)
            .ok()?;
        date_time(found.0)
    }

    /// When the clock shows this time first; where it never does, when it was set beyond it.
    fn first_instant(&self, wall: DateTime) -> Option<jiff::Timestamp> {
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                // By the clock that was not set, it lies at the change or behind it.
                let behind = before.to_timestamp(wall).ok()?;
                let behind = jiff::Timestamp::from_second(behind.as_second() + 1).ok()?;
                self.zone.preceding(behind).next().map(|c| c.timestamp())
            }
        }
    }
}

/// What is wrong with a line, as the end of a sentence.
fn reason(error: &CronError) -> String {
    let text = error.to_string();
    let text = text.split_once(": ").map_or(&*text, |(_, rest)| rest);
    text.trim_end_matches('.').to_owned()
}

/// A time on a clock that is never set.
#[derive(Clone, Debug)]
struct Wall(CivilDateTime);

impl Wall {
    fn at(time: DateTime) -> Option<Self> {
        let part = |part: i8| u32::try_from(part).ok();
        let date = CivilDate::from_ymd_opt(
            i32::from(time.year()),
            part(time.month())?,
            part(time.day())?,
        )?;
        let time = CivilTime::from_hms_opt(
            part(time.hour())?,
            part(time.minute())?,
            part(time.second())?,
        )?;
        Some(Self(CivilDateTime::new(date, time)))
    }
}

fn date_time(time: CivilDateTime) -> Option<DateTime> {
    let part = |part: u32| i8::try_from(part).ok();
    DateTime::new(
        i16::try_from(time.year()).ok()?,
        part(time.month())?,
        part(time.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
        0,
    )
    .ok()
}

impl CronDateTime for Wall {
    fn to_civil(&self) -> CivilDateTime {
        self.0
    }

    fn civil_weekday(&self) -> croner::Weekday {
        // A date that the calendar does not have can't be made.
        let days = date_time(self.0).map_or(0, |time| time.weekday().to_sunday_zero_offset());
        croner::Weekday::from_days_from_sunday(u32::from(days.unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        Ok(Resolution::Single(Self(civil)))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let span = jiff::SignedDuration::from_secs(seconds);
        Self::at(date_time(self.0)?.checked_add(span).ok()?)
    }

    fn cmp_instant(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        humantime::parse_rfc3339(text).expect("a time").into()
    }

    fn timetable(cron: &str, timezone: &str) -> Timetable {
        Timetable::parse(cron, timezone).expect("a timetable")
    }

    /// The slots from one instant on, up to another one, as UTC without what is the same everywhere.
    fn slots(cron: &str, timezone: &str, after: &str, until: &str) -> Vec<String> {
        let slots = timetable(cron, timezone);
        let slots = slots.between(at(after), at(until));
        slots
            .map(|slot| slot.to_string().replace(":00.000Z", ""))
            .collect()
    }

    const BUDAPEST: &str = "Europe/Budapest";
    const NEW_YORK: &str = "America/New_York";

    #[test]
    fn a_fixed_time_in_a_gap_runs_at_the_first_instant_after_it() {
        // On 29 March, 02:00 becomes 03:00 at 01:00Z.
        let nights = slots(
            "30 2 * * *",
            BUDAPEST,
            "2026-03-27T12:00:00Z",
            "2026-03-31T00:00:00Z",
        );
        assert_eq!(
            nights,
            ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]
        );
        // On 8 March, 02:00 becomes 03:00 at 07:00Z.
        let nights = slots(
            "0 2 * * *",
            NEW_YORK,
            "2026-03-07T12:00:00Z",
            "2026-03-10T00:00:00Z",
        );
        assert_eq!(nights, ["2026-03-08T07:00", "2026-03-09T06:00"]);
        // Several in the gap, and one just behind it, are one instant.
        let nights = slots(
            "0,30 2,3 * * *",
            BUDAPEST,
            "2026-03-28T12:00:00Z",
            "2026-03-29T12:00:00Z",
        );
        assert_eq!(nights, ["2026-03-29T01:00", "2026-03-29T01:30"]);
    }

    #[test]
    fn a_fixed_time_in_an_overlap_runs_in_the_first_pass() {
        // On 25 October, 03:00 becomes 02:00 at 01:00Z.
        let nights = slots(
            "30 2 * * *",
            BUDAPEST,
            "2026-10-24T12:00:00Z",
            "2026-10-27T00:00:00Z",
        );
        assert_eq!(nights, ["2026-10-25T00:30", "2026-10-26T01:30"]);
        // On 1 November, 02:00 becomes 01:00 at 06:00Z.
        let nights = slots(
            "0,45 1 * * *",
            NEW_YORK,
            "2026-11-01T00:00:00Z",
            "2026-11-02T12:00:00Z",
        );
        assert_eq!(
            nights,
            [
                "2026-11-01T05:00",
                "2026-11-01T05:45",
                "2026-11-02T06:00",
                "2026-11-02T06:45"
            ]
        );
        // From within the second pass on, none of its times is due again.
        let next = timetable("30 2 * * *", BUDAPEST).next(at("2026-10-25T01:10:00Z"));
        assert_eq!(next, Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn wildcards_follow_elapsed_time() {
        for (timezone, gap) in [
            (BUDAPEST, "2026-03-29T01:00:00Z"),
            (NEW_YORK, "2026-03-08T07:00:00Z"),
            (BUDAPEST, "2026-10-25T01:00:00Z"),
            (NEW_YORK, "2026-11-01T06:00:00Z"),
        ] {
            let change = at(gap).as_millis();
            let (from, until) = (change - 7_200_000, change + 7_200_000);
            let slots: Vec<_> = timetable("*/20 * * * *", timezone)
                .between(Timestamp::from_millis(from), Timestamp::from_millis(until))
                .map(Timestamp::as_millis)
                .collect();
            let every_20_minutes: Vec<_> = (1..=12).map(|n| from + n * 1_200_000).collect();
            assert_eq!(slots, every_20_minutes, "{timezone} {gap}");
        }
        // An hour with a wildcard within it: none in the gap, and both passes.
        let within = |after, until| slots("*/30 2 * * *", BUDAPEST, after, until);
        assert!(within("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z").is_empty());
        assert_eq!(
            within("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
            [
                "2026-10-25T00:00",
                "2026-10-25T00:30",
                "2026-10-25T01:00",
                "2026-10-25T01:30"
            ]
        );
    }

    #[test]
    fn slots_only_go_forward() {
        for cron in [
            "30 2 * * *",
            "0,30 1-3 * * *",
            "*/7 * * * *",
            "15 */2 * * SUN",
            "* * * * * *",
        ] {
            for timezone in [
                BUDAPEST,
                NEW_YORK,
                "Australia/Lord_Howe",
                "Pacific/Apia",
                "UTC",
            ] {
                let timetable = timetable(cron, timezone);
                for around in [
                    "2026-03-29T00:00:00Z",
                    "2026-10-24T23:30:00Z",
                    "2026-11-01T04:50:00Z",
                    "2011-12-29T20:00:00Z",
                ] {
                    let mut last = at(around);
                    for _ in 0..50 {
                        let next = timetable.next(last).expect("another one");
                        assert!(next > last, "{cron} {timezone}: {next} after {last}");
                        last = next;
                    }
                }
            }
        }
    }

    #[test]
    fn a_day_that_a_zone_skips_is_a_gap_too() {
        // Samoa had no 30 December 2011: it went to the other side of the date line.
        let next = timetable("0 3 30 12 *", "Pacific/Apia").next(at("2011-12-01T00:00:00Z"));
        assert_eq!(next, Some(at("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn the_newest_of_many_are_found_without_a_walk_through_all() {
        let every_second = timetable("* * * * * *", "UTC");
        let (after, until) = (at("1990-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
        let (newest, older) = every_second.latest(after, until, 3);
        let millis: Vec<_> = newest
            .iter()
            .map(|s| until.as_millis() - s.as_millis())
            .collect();
        assert_eq!((millis, older), (vec![2000, 1000, 0], true));
        let yearly = timetable("@yearly", "UTC");
        let (newest, older) = yearly.latest(after, until, 1000);
        assert_eq!((newest.len(), older), (36, false));
        let (none, older) = yearly.latest(until, until, 1000);
        assert_eq!((none.len(), older), (0, false));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |cron, timezone| {
            let error = Timetable::parse(cron, timezone).expect_err("it is wrong");
            error.to_string()
        };
        assert!(
            wrong("0 3 * *", "UTC").starts_with("\"0 3 * *\" is no cron line (Pattern must have")
        );
        assert!(wrong("61 3 * * *", "UTC").contains("is no cron line"));
        assert!(wrong("0 3 30 2 *", "UTC").ends_with("never comes"));
        assert_eq!(
            wrong("0 3 * * *", "Europe/Budapst"),
            "there is no time zone \"Europe/Budapst\"; write its name in the IANA database, like \
             \"Europe/Budapest\" or \"UTC\""
        );
    }
}
