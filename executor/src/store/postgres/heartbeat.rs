//! Heartbeats: all leases of a worker in one statement.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use diesel::sql_types::{BigInt, Integer};

use super::PgSession;
use crate::store::{
    Held, Pulse, WorkerId,
    sql::{
        Outcome, millis,
        statement::{Statement, sql},
    },
};

/// The leases that are still this worker's. As in commits, the condition on `wid` makes the planner
/// look up each by its key.
macro_rules! held {
    ($lock:literal) => {
        concat!(
            "SELECT p.id::bigint FROM unnest(?, ?) AS w (wid, wtoken) CROSS JOIN LATERAL (
               SELECT p.id FROM {t} p WHERE p.id = w.wid AND p.token = w.wtoken AND p.worker = ?
                 AND p.finished_at IS NULL LIMIT 1",
            $lock,
            ") p WHERE w.wid + 0 = w.wid"
        )
    };
}

/// The statement that extends leases.
pub(super) fn renew(worker: WorkerId, lease: Duration, held: &[Held]) -> Statement<'static> {
    // A renewal under an unchanged token is valid even after the end. The worker's name is there
    // as long as the claim is: a late heartbeat does not renew what was released meanwhile.
    const RENEW: &str = concat!(
        "WITH l AS MATERIALIZED (",
        held!(" FOR UPDATE SKIP LOCKED"),
        ") UPDATE {t} p SET lease_until = {now_ms} + ?, ready = 0
         FROM l WHERE p.id = l.id
         RETURNING p.id::bigint, CASE WHEN p.errored_at IS NULL THEN 0 ELSE 1 END"
    );
    sql(RENEW)
        .ints(held.iter().map(|held| Some(held.id)))
        .ints(held.iter().map(|held| Some(held.token)))
        .text(worker.to_string())
        .int(millis(lease))
}

pub(super) async fn heartbeat(
    s: &mut PgSession,
    worker: WorkerId,
    lease: Duration,
    held: &[Held],
) -> Outcome<Vec<Pulse>> {
    // Rows that are ours, and that some client holds locked.
    const LOCKED: &str = held!("");
    let ids = || held.iter().map(|held| Some(held.id));
    let tokens = || held.iter().map(|held| Some(held.token));
    let renew = renew(worker, lease, held);
    let worker = worker.to_string();
    let renewed = s.rows::<(BigInt, Integer), (i64, i32)>(renew).await?;
    let renewed: HashMap<i64, i32> = renewed.into_iter().collect();
    let locked: HashSet<i64> = if renewed.len() == held.len() {
        HashSet::new()
    } else {
        let locked = sql(LOCKED).ints(ids()).ints(tokens()).text(&worker);
        s.rows::<BigInt, i64>(locked).await?.into_iter().collect()
    };
    let pulse = |held: &Held| match renewed.get(&held.id) {
        Some(0) => Pulse::Alive,
        Some(_) => Pulse::Stopped,
        None if locked.contains(&held.id) => Pulse::Locked,
        None => Pulse::Lost,
    };
    Ok(held.iter().map(pulse).collect())
}
