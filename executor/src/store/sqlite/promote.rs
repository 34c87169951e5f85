//! What becomes available by itself: delays that are over, and leases of workers that are gone.

use diesel::sql_types::{BigInt, Nullable};

use super::{SqliteSession, at_once, create::order_key};
use crate::store::{
    ClaimRequest, Held, Killed,
    sql::{Outcome, millis, promote::kill, statement::sql},
};

/// How many programs one claim makes available at most, of each of the two.
const MOST: i64 = 1000;

/// The statements of each claim, whose plans are tested.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[DELAYED, CLAIMED, PROMOTE_DUE, PROMOTE_EXPIRED, RENEW];

const DELAYED: &str = r#"
SELECT id, token, 0, crashes, available_at, priority
FROM {t}{delayed} AND {due} <= ? ORDER BY {due} LIMIT ?"#;

const CLAIMED: &str = r#"
SELECT id, token, lease_until IS NOT NULL, crashes, available_at, priority
FROM {t}{claimed} AND {due} <= ? ORDER BY {due} LIMIT ?"#;

const PROMOTE_DUE: &str = r#"
UPDATE {t} SET ready = 1, order_key = ?, waiting = NULL WHERE id = ?"#;

// Token and worker stay, and with them the right of the old worker to commit or to renew its
// lease, until somebody claims.
const PROMOTE_EXPIRED: &str = r#"
UPDATE {t} SET ready = 1, order_key = ?, job = {job}, waiting = NULL, lease_until = NULL,
  available_at = COALESCE(available_at, {now_ms}), crashes = crashes + 1
WHERE id = ?"#;

const RENEW: &str = r#"UPDATE {t} SET lease_until = ? WHERE id = ?"#;

/// Makes available what has become due, and what dead workers held; errors what has killed too
/// many of them.
pub(super) fn promote(s: &mut SqliteSession<'_>, request: &ClaimRequest) -> Outcome<Vec<Killed>> {
    type Sql = (BigInt, BigInt, BigInt, BigInt, Nullable<BigInt>, BigInt);
    type Due = (i64, i64, i64, i64, Option<i64>, i64);
    let now = s.now;
    let mut due = s.rows::<Sql, Due>(sql(DELAYED).int(now).int(MOST))?;
    due.extend(s.rows::<Sql, Due>(sql(CLAIMED).int(now).int(MOST))?);
    let mut killed = Vec::new();
    for (id, token, leased, crashes, available_at, priority) in due {
        let order = order_key(available_at.unwrap_or(now), priority);
        if leased == 0 {
            s.execute(sql(PROMOTE_DUE).int(order).int(id))?;
        } else if request.running.contains(&Held { id, token }) {
            // The store was away for longer than the lease, and nobody has come before us.
            let until = now.saturating_add(millis(request.lease));
            s.execute(sql(RENEW).int(until).int(id))?;
        } else if crashes + 1 >= i64::from(request.max_crashes) {
            killed.push(at_once(kill(s, id, crashes + 1))?);
        } else {
            s.execute(sql(PROMOTE_EXPIRED).int(order).int(id))?;
        }
    }
    Ok(killed)
}
