//! What becomes available by itself: delays that are over, and leases of workers that are gone.

use diesel::sql_types::BigInt;

use super::PgSession;
use crate::store::{
    ClaimRequest, Held, Killed,
    sql::{
        Outcome, Session, millis, number,
        promote::kill,
        statement::{Statement, sql},
    },
};

// Two ranges of one index.
const DUE: &str = "
SELECT * FROM (
  SELECT id::bigint, token, 0::bigint, crashes::bigint FROM {t}{delayed} AND {due} <= {now_ms}
  ORDER BY {due} LIMIT ? FOR UPDATE SKIP LOCKED) d
UNION ALL
SELECT * FROM (
  SELECT id::bigint, token, CASE WHEN lease_until IS NULL THEN 0 ELSE 1 END::bigint, crashes::bigint
  FROM {t}{claimed} AND {due} <= {now_ms} AND (lease_until IS NULL OR ? = 1)
  ORDER BY {due} LIMIT ? FOR UPDATE SKIP LOCKED) c";

/// What is due by itself; `takes_over`: what dead workers held as well.
pub(super) fn due(takes_over: bool) -> Statement<'static> {
    sql(DUE)
        .int(number(MOST))
        .int(i64::from(takes_over))
        .int(number(MOST))
}

/// How many programs one claim makes available at most, of each of the two.
const MOST: usize = 1000;

/// Makes available what has become due, and what dead workers held; errors what has killed too many
/// of them. Also whether that was all.
pub(super) async fn promote(
    s: &mut PgSession,
    request: &ClaimRequest,
) -> Outcome<(Vec<Killed>, bool)> {
    const PROMOTE_DUE: &str = "
        UPDATE {t} SET ready = 1, order_key = available_at + priority * 60000, waiting = NULL
        WHERE id = ANY(?)";
    // Token and worker stay, and with them the right of the old worker to commit or to renew its
    // lease, until somebody claims.
    const PROMOTE_EXPIRED: &str = "
        UPDATE {t} SET ready = 1, job = {job}, waiting = NULL, lease_until = NULL,
          order_key = COALESCE(available_at, {now_ms}) + priority * 60000,
          available_at = COALESCE(available_at, {now_ms}), crashes = crashes + 1
        WHERE id = ANY(?)";
    const RENEW: &str = "UPDATE {t} SET lease_until = {now_ms} + ? WHERE id = ANY(?)";
    let takes_over = s.has_been_up_for(request.lease);
    let due = s
        .rows::<(BigInt, BigInt, BigInt, BigInt), (i64, i64, i64, i64)>(due(takes_over))
        .await?;
    let all = due.len() < MOST;
    let (mut waited, mut expired, mut ours, mut killed) = (vec![], vec![], vec![], vec![]);
    for (id, token, leased, crashes) in due {
        if leased == 0 {
            waited.push(Some(id));
        } else if request.running.contains(&Held { id, token }) {
            // The store was away for longer than the lease, and nobody has come before us.
            ours.push(Some(id));
        } else if crashes + 1 >= i64::from(request.max_crashes) {
            killed.push(kill(s, id, crashes + 1).await?);
        } else {
            expired.push(Some(id));
        }
    }
    if !waited.is_empty() {
        s.run(sql(PROMOTE_DUE).ints(waited)).await?;
    }
    if !expired.is_empty() {
        s.run(sql(PROMOTE_EXPIRED).ints(expired)).await?;
    }
    if !ours.is_empty() {
        let renew = sql(RENEW).int(millis(request.lease)).ints(ours);
        s.run(renew).await?;
    }
    Ok((killed, all))
}
