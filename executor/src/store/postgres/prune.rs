//! Which programs ended long enough ago.

use diesel::sql_types::BigInt;

use super::PgSession;
use crate::store::{
    Ended, ProgramState,
    sql::{
        Outcome, Session, millis, number,
        statement::{Statement, sql},
    },
};

/// The conditions are those of the indexes `finished_queue` and `errored_queue`.
macro_rules! old {
    ($what:literal, finished) => {
        concat!(
            "SELECT ",
            $what,
            " FROM {t} WHERE queue = ? AND finished_at IS NOT NULL
               AND errored_at IS NULL
               AND finished_at <= statement_timestamp() - ? * interval '1 millisecond'"
        )
    };
    ($what:literal, errored) => {
        concat!(
            "SELECT ",
            $what,
            " FROM {t} WHERE queue = ? AND errored_at IS NOT NULL
               AND errored_at <= statement_timestamp() - ? * interval '1 millisecond'"
        )
    };
}

const FINISHED: &str = concat!(
    old!("id", finished),
    " ORDER BY finished_at LIMIT ? FOR UPDATE SKIP LOCKED"
);
const ERRORED: &str = concat!(
    old!("id", errored),
    " ORDER BY errored_at LIMIT ? FOR UPDATE SKIP LOCKED"
);

/// The oldest of them.
pub(super) fn oldest(ended: &Ended, limit: usize) -> Statement<'_> {
    let template = match ended.state {
        ProgramState::Errored => ERRORED,
        _ => FINISHED,
    };
    let old = sql(template).text(&*ended.queue).int(millis(ended.age));
    old.int(number(limit))
}

/// Those, kept from others till the transaction ends.
pub(super) async fn prunable(s: &mut PgSession, ended: &Ended, limit: usize) -> Outcome<Vec<i64>> {
    s.rows::<BigInt, i64>(oldest(ended, limit)).await
}

pub(super) async fn count(s: &mut PgSession, ended: &Ended) -> Outcome<i64> {
    let template = match ended.state {
        ProgramState::Errored => old!("COUNT(*)", errored),
        _ => old!("COUNT(*)", finished),
    };
    let old = sql(template).text(&*ended.queue).int(millis(ended.age));
    let counted = s.rows::<BigInt, i64>(old).await?;
    Ok(counted.first().copied().unwrap_or_default())
}

/// The first queue behind this one that has programs which ended so.
pub(super) async fn queue(
    s: &mut PgSession,
    state: ProgramState,
    after: &str,
) -> Outcome<Option<String>> {
    const FINISHED: &str = "
        SELECT queue FROM {t} WHERE finished_at IS NOT NULL AND errored_at IS NULL AND queue > ?
        ORDER BY queue LIMIT 1";
    const ERRORED: &str = "
        SELECT queue FROM {t} WHERE errored_at IS NOT NULL AND queue > ? ORDER BY queue LIMIT 1";
    let template = match state {
        ProgramState::Errored => ERRORED,
        _ => FINISHED,
    };
    Ok(s.texts(sql(template).text(after)).await?.pop())
}
