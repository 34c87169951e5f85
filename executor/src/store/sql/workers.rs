//! The list of workers.

use serde::Deserialize;

use super::{Outcome, Session, millis, number, rows, statement::sql};
use crate::{
    config::Share,
    store::{WorkerId, WorkerInfo, WorkerRecord},
    time::Timestamp,
};

pub(in crate::store) async fn register<S: Session>(
    s: &mut S,
    worker: &WorkerRecord,
) -> Outcome<()> {
    const REGISTER: &str = "
        INSERT INTO {table workers} (id, host, pid, queues, slots, lease, started_at, seen_at)
        VALUES (?, ?, ?, ?, ?, ?, {now_ms}, {now_ms})";
    // A day after its last sign nobody asks for a worker any more.
    const FORGET: &str = "DELETE FROM {table workers} WHERE seen_at < {now_ms} - 86400000";
    s.run(sql(FORGET)).await?;
    let queues = Share::queues(&worker.shares);
    let queues: Vec<&str> = queues.iter().map(|(_, queue)| queue.as_str()).collect();
    let slots = worker.shares.iter().map(|share| share.slots).sum();
    let statement = sql(REGISTER)
        .text(worker.id.to_string())
        .text(&worker.host)
        .int(i64::from(worker.pid))
        .text(queues.join(","))
        .int(number(slots))
        .int(millis(worker.lease));
    s.run(statement).await?;
    Ok(())
}

pub(in crate::store) async fn deregister<S: Session>(s: &mut S, worker: WorkerId) -> Outcome<()> {
    const DEREGISTER: &str = "DELETE FROM {table workers} WHERE id = ?";
    s.run(sql(DEREGISTER).text(worker.to_string())).await?;
    Ok(())
}

/// Notes that the worker lives.
pub(in crate::store) async fn seen<S: Session>(s: &mut S, worker: WorkerId) -> Outcome<()> {
    const SEEN: &str = "UPDATE {table workers} SET seen_at = {now_ms} WHERE id = ?";
    s.run(sql(SEEN).text(worker.to_string())).await?;
    Ok(())
}

/// Who was heard of within its lease: three heartbeats.
pub(in crate::store) async fn live<S: Session>(s: &mut S) -> Outcome<Vec<WorkerInfo>> {
    const LIVE: &str = "
        SELECT {object}('id', id, 'host', host, 'pid', pid, 'queues', queues, 'slots', slots,
          'started_at', started_at, 'seen_at', seen_at)
        FROM {table workers} WHERE seen_at >= {now_ms} - lease ORDER BY started_at";
    #[derive(Deserialize)]
    struct Row {
        id: String,
        host: String,
        pid: i64,
        queues: String,
        slots: i64,
        started_at: i64,
        seen_at: i64,
    }
    let found = rows::<_, Row>(s, sql(LIVE)).await?;
    let info = |row: Row| WorkerInfo {
        id: row.id,
        host: row.host,
        pid: u32::try_from(row.pid).unwrap_or(0),
        queues: row.queues.split(',').map(str::to_owned).collect(),
        slots: u32::try_from(row.slots).unwrap_or(u32::MAX),
        started_at: Timestamp::from_millis(row.started_at),
        seen_at: Timestamp::from_millis(row.seen_at),
    };
    Ok(found.into_iter().map(info).collect())
}
