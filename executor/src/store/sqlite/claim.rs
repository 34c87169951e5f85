//! Claims: what is due becomes available, and the best of it goes to a worker.
//!
//! A claim looks at each job that has something available (a seek a job, over the index on queue,
//! job and order), takes the best of those that the worker knows and has room for, and never
//! walks over what it must leave to others or what is not due yet.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{Outcome, Session, create::order_key, millis, text::Lossy, workers::Locks};
use crate::{
    run_id::RunId,
    store::{ClaimRequest, Claimed, ClaimedProgram, Fence, Held},
};

/// How many programs one claim makes available at most.
const PROMOTE: i64 = 1000;

pub(super) fn claim(s: &mut Session<'_>, request: &ClaimRequest, locks: &Locks) -> Outcome<Claimed> {
    super::workers::end_leases_of_the_dead(s, request.worker, locks)?;
    let mut claimed = Claimed { killed: promote(s, request)?, ..Claimed::default() };
    let chosen = choose(s, request, &mut claimed.more)?;
    if !chosen.is_empty() {
        claimed.programs = take(s, request, &chosen)?;
    }
    claimed.next_due = next_due(s)?;
    Ok(claimed)
}

const DUE: &str = r#"
SELECT id, COALESCE(run_id, ''), token, lease_until IS NOT NULL, crashes, available_at, priority
FROM "{t}" INDEXED BY "{t}_due"
WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL
  AND COALESCE(lease_until, available_at) <= ?
ORDER BY COALESCE(lease_until, available_at) LIMIT ?"#;

const PROMOTE_DUE: &str = r#"
UPDATE "{t}" SET ready = 1, order_key = ?, waiting = NULL WHERE id = ?"#;

// Token and worker stay, and with them the right of the old worker to commit or to renew its
// lease, until somebody claims.
const PROMOTE_EXPIRED: &str = r#"
UPDATE "{t}" SET ready = 1, order_key = ?, waiting = NULL, lease_until = NULL,
  crashes = crashes + 1
WHERE id = ?"#;

const KILL: &str = r#"
UPDATE "{t}" SET errored_at = ?, error_message = ?, updated_at = ?, lease_until = NULL,
  worker = NULL, token = token + 1, crashes = crashes + 1
WHERE id = ?"#;

const RENEW: &str = r#"UPDATE "{t}" SET lease_until = ? WHERE id = ?"#;

/// Makes available what has become due, and what dead workers held; errors what has killed too
/// many of them.
fn promote(s: &mut Session<'_>, request: &ClaimRequest) -> Outcome<Vec<RunId>> {
    type Sql = (BigInt, Text, BigInt, BigInt, BigInt, Nullable<BigInt>, BigInt);
    type Due = (i64, Lossy, i64, i64, i64, Option<i64>, i64);
    let now = s.now.clone();
    let statement = s.tables.statement(DUE).int(now.millis).int(PROMOTE);
    let due = statement.rows::<Sql, Due, _>(s.conn)?;
    let mut killed = Vec::new();
    for (id, Lossy(run_id), token, leased, crashes, available_at, priority) in due {
        let order = order_key(available_at.unwrap_or(now.millis), priority);
        if leased == 0 {
            s.tables.statement(PROMOTE_DUE).int(order).int(id).run(s.conn)?;
        } else if request.running.contains(&Held { id, token }) {
            // The store was away for longer than the lease, and nobody has come before us.
            let until = now.millis.saturating_add(millis(request.lease));
            s.tables.statement(RENEW).int(until).int(id).run(s.conn)?;
        } else if crashes + 1 >= i64::from(request.max_crashes) {
            let message = format!("its worker died {} times in this step", crashes + 1);
            s.tables
                .statement(KILL)
                .text(&now.text)
                .text(message)
                .text(&now.text)
                .int(id)
                .run(s.conn)?;
            killed.push(run_id.into());
        } else {
            s.tables.statement(PROMOTE_EXPIRED).int(order).int(id).run(s.conn)?;
        }
    }
    Ok(killed)
}

const PAUSED: &str = r#"SELECT name FROM "{t}_queues" WHERE paused_at IS NOT NULL"#;

// A loose scan: one seek for each job that has something available.
const AVAILABLE_JOBS: &str = r#"
WITH RECURSIVE present (job) AS (
  SELECT MIN(job) FROM "{t}" INDEXED BY "{t}_ready"
  WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL AND queue = ?
  UNION ALL
  SELECT (SELECT MIN(job) FROM "{t}" INDEXED BY "{t}_ready"
    WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL AND queue = ?
      AND job > present.job)
  FROM present WHERE present.job IS NOT NULL
)
SELECT job FROM present WHERE job IS NOT NULL"#;

// `octet_length` does not read the columns; `length` would.
const CANDIDATES: &str = r#"
SELECT COALESCE(order_key, 0), id,
  octet_length(jobs) + COALESCE(octet_length(program_data), 0)
    + COALESCE(octet_length(job_data), 0) + octet_length(outputs)
FROM "{t}" INDEXED BY "{t}_ready"
WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL AND queue = ? AND job = ?
ORDER BY order_key, id LIMIT ?"#;

/// The best programs that the worker can take, as far as its slots and bytes reach.
fn choose(s: &mut Session<'_>, request: &ClaimRequest, more: &mut bool) -> Outcome<Vec<i64>> {
    let paused = s.tables.statement(PAUSED).rows::<Text, String, _>(s.conn)?;
    let mut best = BinaryHeap::new();
    // The room of a job is one for all queues.
    let mut rooms: Vec<(String, usize)> = Vec::new();
    for queue in request.queues.iter().filter(|queue| !paused.contains(queue)) {
        let jobs = s
            .tables
            .statement(AVAILABLE_JOBS)
            .text(queue)
            .text(queue)
            .rows::<Text, Lossy, _>(s.conn)?;
        for Lossy(job) in jobs {
            let room = request.room_for(&job);
            if room == 0 {
                continue;
            }
            let candidates = s
                .tables
                .statement(CANDIDATES)
                .text(queue)
                .text(&job)
                .int(i64::try_from(room).unwrap_or(i64::MAX))
                .rows::<(BigInt, BigInt, BigInt), (i64, i64, i64), _>(s.conn)?;
            *more |= candidates.len() == room;
            let known = rooms.iter().position(|(name, _)| *name == job);
            let at = known.unwrap_or_else(|| {
                rooms.push((job, room));
                rooms.len() - 1
            });
            best.extend(candidates.into_iter().map(|(key, id, size)| Reverse((key, id, size, at))));
        }
    }
    let mut chosen = Vec::new();
    let mut bytes = 0;
    while let Some(Reverse((_, id, size, job))) = best.pop() {
        let room = &mut rooms[job].1;
        if *room == 0 {
            *more = true;
            continue;
        }
        bytes += usize::try_from(size).unwrap_or(0);
        // One program is always let in, or a large one would wait for ever.
        if chosen.len() == request.slots || (bytes > request.bytes && !chosen.is_empty()) {
            *more = true;
            break;
        }
        *room -= 1;
        chosen.push(id);
    }
    Ok(chosen)
}

// What came from elsewhere, or was changed by hand, may be NULL.
const CLAIM: &str = r#"
UPDATE "{t}" SET token = token + 1, rev = rev + 1, ready = 0, lease_until = ?, worker = ?
WHERE id IN (SELECT value FROM json_each(?))
RETURNING id, token, rev, COALESCE(run_id, ''), jobs, COALESCE(program_data, 'null'),
  COALESCE(job_data, '{}'), outputs, COALESCE(step, 0), COALESCE(step_retry_count, 0),
  child_ordinal, COALESCE(order_key, 0)"#;

fn take(s: &mut Session<'_>, request: &ClaimRequest, ids: &[i64]) -> Outcome<Vec<ClaimedProgram>> {
    type Sql = (
        (BigInt, BigInt, BigInt, Text, Text, Text, Text, Text),
        (BigInt, BigInt, BigInt, BigInt),
    );
    type Row =
        ((i64, i64, i64, Lossy, Lossy, Lossy, Lossy, Lossy), (i64, i64, i64, i64));
    let list = serde_json::to_string(ids).unwrap_or_default();
    let mut rows = s
        .tables
        .statement(CLAIM)
        .int(s.now.millis.saturating_add(millis(request.lease)))
        .text(request.worker.to_string())
        .text(list)
        .rows::<Sql, Row, _>(s.conn)?;
    // RETURNING has no order of its own.
    rows.sort_unstable_by_key(|(wide, (_, _, _, order))| (*order, wide.0));
    let programs = rows.into_iter().map(|(wide, (step, retry_count, ordinal, _))| {
        let (id, token, rev, Lossy(run_id), Lossy(jobs), program_data, job_data, outputs) = wide;
        let (Lossy(program_data), Lossy(job_data), Lossy(outputs)) =
            (program_data, job_data, outputs);
        ClaimedProgram {
            fence: Fence { id, token, rev },
            run_id: run_id.into(),
            bytes: jobs.len() + program_data.len() + job_data.len() + outputs.len(),
            jobs,
            program_data,
            job_data,
            outputs,
            step: usize::try_from(step).unwrap_or(0),
            retry_count: u32::try_from(retry_count).unwrap_or(0),
            ordinal: u32::try_from(ordinal).unwrap_or(0),
        }
    });
    Ok(programs.collect())
}

const NEXT_DUE: &str = r#"
SELECT MIN(COALESCE(lease_until, available_at)) FROM "{t}" INDEXED BY "{t}_due"
WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL"#;

fn next_due(s: &mut Session<'_>) -> Outcome<Option<Duration>> {
    let next = s
        .tables
        .statement(NEXT_DUE)
        .rows::<diesel::sql_types::Nullable<BigInt>, Option<i64>, _>(s.conn)?;
    let wait = |due: i64| {
        Duration::from_millis(u64::try_from(due.saturating_sub(s.now.millis)).unwrap_or(0))
    };
    Ok(next.into_iter().next().flatten().map(wait))
}
