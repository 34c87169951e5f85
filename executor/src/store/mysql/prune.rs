//! Ended programs that are kept no longer.

use std::time::Duration;

use diesel::sql_types::BigInt;

use super::{
    MySession,
    rows::{by_id, list},
};
use crate::store::sql::{Outcome, Session, millis, number, statement::sql};

pub(super) async fn prune(s: &mut MySession, age: Duration, limit: usize) -> Outcome<usize> {
    const ENDED: &str = "
        SELECT id FROM {t} FORCE INDEX (PRIMARY)
        WHERE (errored_at IS NOT NULL OR finished_at IS NOT NULL)
          AND COALESCE(errored_at, finished_at) <= {now} - INTERVAL ? * 1000 MICROSECOND
        ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED";
    // One that is retried in the meantime has not ended any more: it stays.
    const PRUNE: &str = concat!(
        "DELETE p FROM ",
        by_id!(),
        " WHERE p.errored_at IS NOT NULL OR p.finished_at IS NOT NULL"
    );
    let ended = sql(ENDED).int(millis(age)).int(number(limit));
    let ended = s.rows::<BigInt, i64>(ended).await?;
    if ended.is_empty() {
        return Ok(0);
    }
    s.run(sql(PRUNE).text(list(ended))).await
}
