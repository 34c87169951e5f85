//! Claims: what is due becomes available, and the best of it goes to a worker.
//!
//! A claim looks at each job that has something available (a seek a job, over the index on queue,
//! job and order), takes the best of those that the worker knows and has room for, and never
//! walks over what it must leave to others or what is not due yet.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{SqliteSession, text::Lossy, workers::Locks};
use crate::{
    config::Share,
    store::{
        ClaimRequest, Claimed, ClaimedProgram, Fence,
        sql::{Outcome, millis, number, statement::sql},
    },
};

pub(super) fn claim(
    s: &mut SqliteSession<'_>,
    request: &ClaimRequest,
    locks: &Locks,
) -> Outcome<Claimed> {
    super::workers::look_for_the_dead(s, request.worker, locks)?;
    let mut claimed = Claimed {
        killed: super::promote::promote(s, request)?,
        ..Claimed::default()
    };
    let chosen = choose(s, request, &mut claimed)?;
    if !chosen.is_empty() {
        claimed.programs = take(s, request, &chosen)?;
    }
    claimed.next_due = next_due(s)?;
    Ok(claimed)
}

/// The statements of each claim, whose plans are tested.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[PAUSED, AVAILABLE_JOBS, CANDIDATES, CLAIM, NEXT_DUE];

const PAUSED: &str = r#"SELECT name FROM {table queues} WHERE paused_at IS NOT NULL"#;

// A loose scan: one seek for each job that has something available.
const AVAILABLE_JOBS: &str = r#"
WITH RECURSIVE present (job) AS (
  SELECT MIN(job) FROM {t} INDEXED BY {name ready}
  WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL AND queue = ?
  UNION ALL
  SELECT (SELECT MIN(job) FROM {t} INDEXED BY {name ready}
    WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL AND queue = ?
      AND job > present.job)
  FROM present WHERE present.job IS NOT NULL
)
SELECT job FROM present WHERE job IS NOT NULL"#;

// `octet_length` does not read the columns; `length` would.
const CANDIDATES: &str = r#"
SELECT COALESCE(order_key, 0), id,
  octet_length(jobs) + COALESCE(octet_length(program_data), 0)
    + COALESCE(octet_length(job_data), 0) + octet_length(outputs),
  crashes
FROM {t} INDEXED BY {name ready}
WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL AND queue = ? AND job = ?
  AND crashes < ?
ORDER BY order_key, id LIMIT ?"#;

/// The best programs that the worker can take, as far as its slots and bytes reach.
fn choose(
    s: &mut SqliteSession<'_>,
    request: &ClaimRequest,
    claimed: &mut Claimed,
) -> Outcome<Vec<i64>> {
    let paused = s.rows::<Text, String>(sql(PAUSED))?;
    let suspect_from = i64::from(request.suspect_from());
    let crashes = if request.suspects == 0 {
        suspect_from
    } else {
        i64::MAX
    };
    claimed.more |= request.suspects == 0;
    let mut best = BinaryHeap::new();
    // The room of a job is one for all queues.
    let mut rooms: Vec<(String, usize)> = Vec::new();
    let mut free: Vec<usize> = request.shares.iter().map(|share| share.slots).collect();
    let mut queues = Share::queues(&request.shares);
    queues.retain(|(_, queue)| !paused.contains(queue));
    for (share, queue) in queues {
        let jobs = s.rows::<Text, Lossy>(sql(AVAILABLE_JOBS).text(queue).text(queue))?;
        for Lossy(job) in jobs {
            let room = request.room_for(&job);
            if room == 0 {
                continue;
            }
            let most = room.min(free[share]);
            let candidates = s.rows::<(BigInt, BigInt, BigInt, BigInt), (i64, i64, i64, i64)>(
                sql(CANDIDATES)
                    .text(queue)
                    .text(&job)
                    .int(crashes)
                    .int(number(most)),
            )?;
            claimed.more |= candidates.len() == room;
            let known = rooms.iter().position(|(name, _)| *name == job);
            let at = known.unwrap_or_else(|| {
                rooms.push((job, room));
                rooms.len() - 1
            });
            best.extend(candidates.into_iter().map(|row| Reverse((row, share, at))));
        }
    }
    let mut chosen = Vec::new();
    let mut bytes = 0;
    let mut suspects = request.suspects;
    while let Some(Reverse(((_, id, size, crashes), share, job))) = best.pop() {
        if chosen.len() == request.slots {
            claimed.more = true;
            claimed.again = request.is_divided();
            break;
        }
        // A share that is full keeps nobody else back.
        if free[share] == 0 {
            continue;
        }
        let room = &mut rooms[job].1;
        let suspect = crashes >= suspect_from;
        if *room == 0 || (suspect && suspects == 0) {
            claimed.more = true;
            continue;
        }
        bytes += usize::try_from(size).unwrap_or(0);
        // One program is always let in, or a large one would wait for ever.
        if bytes > request.bytes && !chosen.is_empty() {
            claimed.more = true;
            claimed.again = request.is_divided();
            break;
        }
        *room -= 1;
        free[share] -= 1;
        suspects -= usize::from(suspect);
        chosen.push(id);
    }
    Ok(chosen)
}

// What came from elsewhere, or was changed by hand, may be NULL.
const CLAIM: &str = r#"
UPDATE {t} SET token = token + 1, rev = rev + 1, ready = 0, lease_until = ?, worker = ?
WHERE id IN (SELECT value FROM json_each(?))
RETURNING id, token, rev, COALESCE(run_id, ''), jobs, COALESCE(program_data, 'null'),
  COALESCE(job_data, '{}'), outputs, {step}, COALESCE(step_retry_count, 0),
  child_ordinal, COALESCE(order_key, 0), crashes, COALESCE(job, ''), COALESCE(shared_keys, 0), queue"#;

fn take(
    s: &mut SqliteSession<'_>,
    request: &ClaimRequest,
    ids: &[i64],
) -> Outcome<Vec<ClaimedProgram>> {
    type Sql = (
        (BigInt, BigInt, BigInt, Text, Text, Text, Text, Text),
        (BigInt, BigInt, BigInt, BigInt, BigInt, Text, BigInt, Text),
    );
    type Row = (
        (i64, i64, i64, Lossy, Lossy, Lossy, Lossy, Lossy),
        (i64, i64, i64, i64, i64, Lossy, i64, Lossy),
    );
    let list = serde_json::to_string(ids).unwrap_or_default();
    let mut rows = s.rows::<Sql, Row>(
        sql(CLAIM)
            .int(s.now.saturating_add(millis(request.lease)))
            .text(request.worker.to_string())
            .text(list),
    )?;
    // RETURNING has no order of its own.
    rows.sort_unstable_by_key(|(wide, (_, _, _, order, _, _, _, _))| (*order, wide.0));
    let programs = rows.into_iter().map(|(wide, narrow)| {
        let (step, retry_count, ordinal, _, crashes, Lossy(job), shared, Lossy(queue)) = narrow;
        let (id, token, rev, Lossy(run_id), Lossy(jobs), program_data, job_data, outputs) = wide;
        let (Lossy(program_data), Lossy(job_data), Lossy(outputs)) =
            (program_data, job_data, outputs);
        ClaimedProgram {
            fence: Fence { id, token, rev },
            run_id: run_id.into(),
            queue,
            job,
            bytes: jobs.len() + program_data.len() + job_data.len() + outputs.len(),
            jobs,
            program_data,
            job_data,
            outputs,
            step: usize::try_from(step).unwrap_or(0),
            retry_count: u32::try_from(retry_count).unwrap_or(0),
            ordinal: u32::try_from(ordinal).unwrap_or(0),
            shared_keys: shared == 1,
            suspect: crashes >= i64::from(request.suspect_from()),
            hold: None,
        }
    });
    Ok(programs.collect())
}

// Two beginnings of one index.
const NEXT_DUE: &str = r#"
SELECT MIN(at) FROM (SELECT MIN({due}) AS at FROM {t}{delayed}
  UNION ALL SELECT MIN({due}) FROM {t}{claimed})"#;

fn next_due(s: &mut SqliteSession<'_>) -> Outcome<Option<Duration>> {
    let next = s.rows::<Nullable<BigInt>, Option<i64>>(sql(NEXT_DUE))?;
    let wait =
        |due: i64| Duration::from_millis(u64::try_from(due.saturating_sub(s.now)).unwrap_or(0));
    Ok(next.into_iter().next().flatten().map(wait))
}
