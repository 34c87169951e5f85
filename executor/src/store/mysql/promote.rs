//! What becomes available by itself: delays that are over, and leases of workers that are gone.

use diesel::sql_types::BigInt;

use super::{
    MySession,
    rows::{by_id, list},
};
use crate::store::{
    ClaimRequest, Held, Killed,
    sql::{
        Outcome, Session, millis, number,
        promote::kill,
        statement::{Statement, sql},
    },
};

/// How many programs one claim makes available at most, of each of the two.
const MOST: usize = 1000;

pub(super) struct Promoted {
    pub(super) killed: Vec<Killed>,
    /// Whether that was all that nobody holds.
    pub(super) all: bool,
}

/// Whose delay is over.
pub(super) fn delayed() -> Statement<'static> {
    const DELAYED: &str = "
        SELECT id, token, 0, crashes FROM {t}{delayed} AND wake_at <= {now_ms}
        ORDER BY wake_at LIMIT ? FOR UPDATE SKIP LOCKED";
    sql(DELAYED).int(number(MOST))
}

/// Whose claim has ended that was taken away; `takes_over`: what dead workers held as well.
pub(super) fn claimed(takes_over: bool) -> Statement<'static> {
    const CLAIMED: &str = "
        SELECT id, token, lease_until IS NOT NULL, crashes FROM {t}{claimed} AND wake_at <= {now_ms}
          AND (lease_until IS NULL OR ? = 1)
        ORDER BY wake_at LIMIT ? FOR UPDATE SKIP LOCKED";
    sql(CLAIMED).int(i64::from(takes_over)).int(number(MOST))
}

/// Makes available what has become due, and what dead workers held; errors what has killed too many
/// of them.
pub(super) async fn promote(s: &mut MySession, request: &ClaimRequest) -> Outcome<Promoted> {
    const PROMOTE_DUE: &str = concat!(
        "UPDATE ",
        by_id!(),
        " SET p.ready = 1, p.order_key = p.available_at + p.priority * 60000, p.waiting = NULL"
    );
    // Token and worker stay, and with them the right of the old worker to commit or to renew its
    // lease, until somebody claims.
    const PROMOTE_EXPIRED: &str = concat!(
        "UPDATE ",
        by_id!(),
        " SET p.ready = 1, p.job = {job}, p.waiting = NULL, p.lease_until = NULL,
            p.order_key = COALESCE(p.available_at, {now_ms}) + p.priority * 60000,
            p.available_at = COALESCE(p.available_at, {now_ms}),
            p.crashes = p.crashes + 1"
    );
    const RENEW: &str = concat!("UPDATE ", by_id!(), " SET p.lease_until = {now_ms} + ?");
    let takes_over = s.has_been_up_for(request.lease);
    let mut due = Vec::new();
    let mut all = true;
    for statement in [delayed(), claimed(takes_over)] {
        let some = s
            .rows::<(BigInt, BigInt, BigInt, BigInt), (i64, i64, i64, i64)>(statement)
            .await?;
        all &= some.len() < MOST;
        due.extend(some);
    }
    let (mut waited, mut expired, mut ours, mut killed) = (vec![], vec![], vec![], vec![]);
    for (id, token, leased, crashes) in due {
        if leased == 0 {
            waited.push(id);
        } else if request.running.contains(&Held { id, token }) {
            // The store was away for longer than the lease, and nobody has come before us.
            ours.push(id);
        } else if crashes + 1 >= i64::from(request.max_crashes) {
            killed.push(kill(s, id, crashes + 1).await?);
        } else {
            expired.push(id);
        }
    }
    if !waited.is_empty() {
        s.run(sql(PROMOTE_DUE).text(list(waited))).await?;
    }
    if !expired.is_empty() {
        s.run(sql(PROMOTE_EXPIRED).text(list(expired))).await?;
    }
    if !ours.is_empty() {
        let renew = sql(RENEW).text(list(ours)).int(millis(request.lease));
        s.run(renew).await?;
    }
    Ok(Promoted { killed, all })
}
