//! Which slots of a schedule are to be filled now. The clock is the caller's: the database's.

use std::time::Duration;

use super::{CatchUp, Timetable};
use crate::time::Timestamp;

/// How late a slot may be filled where missed slots are not caught up with.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(60);

/// Slots that are caught up with at most.
pub(crate) const MOST: usize = 1000;

/// What is due of a schedule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The slots to be filled, oldest first.
    pub(crate) slots: Vec<Timestamp>,
    /// Whether there were more than are caught up with at most.
    pub(crate) capped: bool,
}

/// The slots after the last one that are due, as far as they are caught up with.
pub(crate) fn due(
    timetable: &Timetable,
    catch_up: CatchUp,
    after: Timestamp,
    now: Timestamp,
) -> Due {
    let (after, most) = match catch_up {
        CatchUp::None => {
            let tolerance = i64::try_from(TOLERANCE.as_millis()).unwrap_or(i64::MAX);
            let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(tolerance + 1));
            (after.max(oldest), MOST)
        }
        CatchUp::Last => (after, 1),
        CatchUp::All => (after, MOST),
    };
    let (slots, older) = timetable.latest(after, now, most);
    Due {
        slots,
        capped: older && catch_up != CatchUp::Last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn due_after(catch_up: CatchUp, minutes: i64, late: i64) -> (Vec<i64>, bool) {
        let timetable = Timetable::parse("* * * * *", "UTC").expect("a timetable");
        let now = Timestamp::from_millis(minutes * MINUTE + late);
        let due = due(&timetable, catch_up, Timestamp::from_millis(0), now);
        let slots = due.slots.iter().map(|s| s.as_millis() / MINUTE);
        (slots.collect(), due.capped)
    }

    #[test]
    fn none_leaves_out_what_is_too_late() {
        assert_eq!(due_after(CatchUp::None, 1, 0), (vec![1], false));
        assert_eq!(due_after(CatchUp::None, 90, 5_000), (vec![90], false));
        assert_eq!(due_after(CatchUp::None, 90, 0), (vec![89, 90], false));
        assert_eq!(due_after(CatchUp::None, 0, 30_000), (vec![], false));
    }

    #[test]
    fn last_takes_the_newest() {
        assert_eq!(due_after(CatchUp::Last, 1, 0), (vec![1], false));
        assert_eq!(due_after(CatchUp::Last, 90, 59_999), (vec![90], false));
    }

    #[test]
    fn all_takes_all_up_to_a_thousand() {
        assert_eq!(due_after(CatchUp::All, 3, 0), (vec![1, 2, 3], false));
        let (slots, capped) = due_after(CatchUp::All, 1_500, 0);
        assert_eq!(slots, (501..=1_500).collect::<Vec<_>>());
        assert!(capped);
    }

    #[test]
    fn nothing_is_due_where_the_clock_was_set_back() {
        let timetable = Timetable::parse("* * * * *", "UTC").expect("a timetable");
        let (later, now) = (
            Timestamp::from_millis(90 * MINUTE),
            Timestamp::from_millis(5 * MINUTE),
        );
        for catch_up in [CatchUp::None, CatchUp::Last, CatchUp::All] {
            assert!(due(&timetable, catch_up, later, now).slots.is_empty());
        }
    }
}
