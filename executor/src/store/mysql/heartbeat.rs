//! Heartbeats: all leases of a worker together.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use diesel::sql_types::BigInt;

use super::{
    MySession,
    rows::{Rows, by_id, list},
};
use crate::store::{
    Held, Pulse, WorkerId,
    sql::{
        Outcome, Session, millis,
        statement::{Statement, Value, sql},
    },
};

/// The leases that are still this worker's. The worker's name is there as long as the claim is: a late
/// heartbeat does not renew what was released meanwhile.
macro_rules! held {
    ($lock:literal) => {
        concat!(
            "SELECT p.id, p.errored_at IS NOT NULL
             FROM JSON_TABLE(?, '$[*]' COLUMNS (wid BIGINT PATH '$[0]',
                 wtoken BIGINT PATH '$[1]')) w
               STRAIGHT_JOIN {t} p FORCE INDEX (PRIMARY) ON p.id = w.wid
             WHERE p.token = w.wtoken AND p.worker = ? AND p.finished_at IS NULL",
            $lock
        )
    };
}

fn of(template: &'static str, worker: WorkerId, held: &[Held]) -> Statement<'static> {
    let mut rows = Rows::new();
    for held in held {
        rows.push(&[held.id, held.token].map(|number| Value::Int(Some(number))));
    }
    sql(template)
        .text(rows.into_text())
        .text(worker.to_string())
}

/// The statement that locks the leases which can be extended.
pub(super) fn lock(worker: WorkerId, held: &[Held]) -> Statement<'static> {
    const LOCK: &str = held!(" FOR UPDATE SKIP LOCKED");
    of(LOCK, worker, held)
}

pub(super) async fn heartbeat(
    s: &mut MySession,
    worker: WorkerId,
    lease: Duration,
    held: &[Held],
) -> Outcome<Vec<Pulse>> {
    // Rows that are ours, and that some client holds locked.
    const LOCKED: &str = held!("");
    // A renewal under an unchanged token is valid even after the end.
    const RENEW: &str = concat!(
        "UPDATE ",
        by_id!(),
        " SET p.lease_until = {now_ms} + ?, p.ready = 0"
    );
    let renewed = s
        .rows::<(BigInt, BigInt), (i64, i64)>(lock(worker, held))
        .await?;
    let renewed: HashMap<i64, i64> = renewed.into_iter().collect();
    if !renewed.is_empty() {
        let renew = sql(RENEW).text(list(renewed.keys().copied()));
        s.run(renew.int(millis(lease))).await?;
    }
    let locked: HashSet<i64> = if renewed.len() == held.len() {
        HashSet::new()
    } else {
        let locked = of(LOCKED, worker, held);
        let locked = s.rows::<(BigInt, BigInt), (i64, i64)>(locked).await?;
        locked.into_iter().map(|(id, _)| id).collect()
    };
    let pulse = |held: &Held| match renewed.get(&held.id) {
        Some(0) => Pulse::Alive,
        Some(_) => Pulse::Stopped,
        None if locked.contains(&held.id) => Pulse::Locked,
        None => Pulse::Lost,
    };
    Ok(held.iter().map(pulse).collect())
}
