//! Which programs ended long enough ago.
//!
//! In the index `wake` an ended program stands by its state and queue, and by when it ended: by the clock of
//! whoever ended it, where the column is a `TIMESTAMP` of program-executor's. So the column is looked at too.

use diesel::sql_types::BigInt;

use super::MySession;
use crate::store::{
    Ended, ProgramState,
    sql::{
        Outcome, Session, millis, number,
        statement::{Statement, sql},
    },
};

macro_rules! old {
    ($what:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM {t} FORCE INDEX ({name wake})
             WHERE wake_queue IS NULL AND wake_job = ? AND wake_at <= {now_ms} - ?
               AND COALESCE(errored_at, finished_at) <= {now} - INTERVAL ? * 1000 MICROSECOND"
        )
    };
}

/// The state and the queue of ended programs as the index has them.
fn ended_as(state: ProgramState, queue: &str) -> String {
    let letter = match state {
        ProgramState::Errored => 'e',
        _ => 'f',
    };
    format!("{letter}{queue}")
}

fn old<'a>(template: &'static str, ended: &Ended) -> Statement<'a> {
    sql(template)
        .text(ended_as(ended.state, &ended.queue))
        .int(millis(ended.age))
        .int(millis(ended.age))
}

/// The oldest of them.
pub(super) fn oldest<'a>(ended: &Ended, limit: usize) -> Statement<'a> {
    const OLD: &str = concat!(
        old!("id"),
        " ORDER BY wake_at LIMIT ? FOR UPDATE SKIP LOCKED"
    );
    old(OLD, ended).int(number(limit))
}

/// Those, kept from others till the transaction ends.
pub(super) async fn prunable(s: &mut MySession, ended: &Ended, limit: usize) -> Outcome<Vec<i64>> {
    s.rows::<BigInt, i64>(oldest(ended, limit)).await
}

pub(super) async fn count(s: &mut MySession, ended: &Ended) -> Outcome<i64> {
    let counted = s.rows::<BigInt, i64>(old(old!("COUNT(*)"), ended)).await?;
    Ok(counted.first().copied().unwrap_or_default())
}

/// The first queue behind this one that has programs which ended so.
pub(super) async fn queue(
    s: &mut MySession,
    state: ProgramState,
    after: &str,
) -> Outcome<Option<String>> {
    const NEXT: &str = "
        SELECT wake_job FROM {t} FORCE INDEX ({name wake})
        WHERE wake_queue IS NULL AND wake_job > ? ORDER BY wake_job LIMIT 1";
    let found = s.texts(sql(NEXT).text(ended_as(state, after))).await?.pop();
    let letter = ended_as(state, "");
    Ok(found.and_then(|found| found.strip_prefix(&letter).map(str::to_owned)))
}
