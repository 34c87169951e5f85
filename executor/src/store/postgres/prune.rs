//! Retention: terminal programs go, oldest first, in batches.

use std::time::Duration;

use super::PgSession;
use crate::store::sql::{Outcome, Session, millis, number, statement::sql};

pub(super) async fn prune(s: &mut PgSession, age: Duration, limit: usize) -> Outcome<usize> {
    // One that is retried in the meantime has not ended any more: it stays.
    const PRUNE: &str = "
        DELETE FROM {t} WHERE id = ANY(ARRAY(
            SELECT id FROM {t} WHERE (errored_at IS NOT NULL OR finished_at IS NOT NULL)
              AND COALESCE(errored_at, finished_at)
                <= statement_timestamp() - ? * interval '1 millisecond'
            ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED))
          AND (errored_at IS NOT NULL OR finished_at IS NOT NULL)";
    s.run(sql(PRUNE).int(millis(age)).int(number(limit))).await
}
