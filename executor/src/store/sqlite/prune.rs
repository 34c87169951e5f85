//! Retention: terminal programs go, oldest first.

use std::time::Duration;

use diesel::sql_types::BigInt;

use super::SqliteSession;
use crate::store::sql::{Outcome, millis, number, statement::sql};

/// The oldest programs that ended before `age` ago. Only looks: the walk over those that are
/// younger holds up no writer.
pub(super) fn prunable(
    s: &mut SqliteSession<'_>,
    age: Duration,
    limit: usize,
) -> Outcome<Vec<i64>> {
    const PRUNABLE: &str = "
        SELECT id FROM {t} NOT INDEXED WHERE (errored_at IS NOT NULL OR finished_at IS NOT NULL)
          AND {ms COALESCE(errored_at, finished_at)} <= ? ORDER BY id LIMIT ?";
    let before = s.now.saturating_sub(millis(age));
    s.rows::<BigInt, i64>(sql(PRUNABLE).int(before).int(number(limit)))
}

/// Deletes those of them that have still ended: one that was retried a moment ago stays.
pub(super) fn prune(s: &mut SqliteSession<'_>, age: Duration, ids: &[i64]) -> Outcome<usize> {
    const PRUNE: &str = "
        DELETE FROM {t} WHERE id IN (SELECT value FROM json_each(?))
          AND (errored_at IS NOT NULL OR finished_at IS NOT NULL)
          AND {ms COALESCE(errored_at, finished_at)} <= ?";
    let before = s.now.saturating_sub(millis(age));
    let ids = serde_json::to_string(ids).unwrap_or_default();
    s.execute(sql(PRUNE).text(ids).int(before))
}
