//! Which programs ended long enough ago.
//!
//! When a program ended is a text where we write it, and a number of milliseconds where JavaScript does:
//! the index has all numbers before all texts, and each kind is looked up by itself.

use diesel::sql_types::{BigInt, Text};

use super::SqliteSession;
use crate::store::{
    Ended, ProgramState,
    sql::{
        Outcome, millis, number,
        statement::{Statement, sql},
    },
};

macro_rules! old {
    (finished) => {
        old!(
            "finished_at",
            "finished_queue",
            "finished_at IS NOT NULL AND errored_at IS NULL"
        )
    };
    (errored) => {
        old!("errored_at", "errored_queue", "errored_at IS NOT NULL")
    };
    ($column:literal, $index:literal, $ended:literal) => {
        concat!(
            "SELECT * FROM (SELECT id FROM {t} INDEXED BY {name ",
            $index,
            "} WHERE queue = ? AND ",
            $ended,
            " AND ",
            $column,
            " < '' AND ",
            $column,
            " <= ? ORDER BY ",
            $column,
            " LIMIT ?)
             UNION ALL
             SELECT * FROM (SELECT id FROM {t} INDEXED BY {name ",
            $index,
            "} WHERE queue = ? AND ",
            $ended,
            " AND ",
            $column,
            " <= strftime('%Y-%m-%d %H:%M:%f', ? / 1000.0, 'unixepoch')
               AND ",
            $column,
            " >= '' AND {ms ",
            $column,
            "} <= ? ORDER BY ",
            $column,
            " LIMIT ?)"
        )
    };
}

#[cfg(test)]
pub(super) const HOT: [&str; 4] = [old!(finished), old!(errored), FINISHED, ERRORED];

const FINISHED: &str = "
    SELECT queue FROM {t} INDEXED BY {name finished_queue}
    WHERE finished_at IS NOT NULL AND errored_at IS NULL AND queue > ? ORDER BY queue LIMIT 1";
const ERRORED: &str = "
    SELECT queue FROM {t} INDEXED BY {name errored_queue}
    WHERE errored_at IS NOT NULL AND queue > ? ORDER BY queue LIMIT 1";

fn old<'a>(template: Statement<'a>, now: i64, ended: &'a Ended, limit: i64) -> Statement<'a> {
    let before = now.saturating_sub(millis(ended.age));
    let numbers = template.text(&*ended.queue).int(before).int(limit);
    let texts = numbers.text(&*ended.queue).int(before).int(before);
    texts.int(limit)
}

/// The oldest of them. Only looks.
pub(super) fn prunable(
    s: &mut SqliteSession<'_>,
    ended: &Ended,
    limit: usize,
) -> Outcome<Vec<i64>> {
    let template = match ended.state {
        ProgramState::Errored => old!(errored),
        _ => old!(finished),
    };
    let now = s.now;
    let mut ids = s.rows::<BigInt, i64>(old(sql(template), now, ended, number(limit)))?;
    ids.truncate(limit);
    Ok(ids)
}

/// The first queue behind this one that has programs which ended so.
pub(super) fn queue(
    s: &mut SqliteSession<'_>,
    state: ProgramState,
    after: &str,
) -> Outcome<Option<String>> {
    let template = match state {
        ProgramState::Errored => ERRORED,
        _ => FINISHED,
    };
    Ok(s.rows::<Text, String>(sql(template).text(after))?.pop())
}
