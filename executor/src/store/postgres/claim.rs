//! Claims: what is due becomes available, and the best of it goes to a worker.
//!
//! One statement takes the best programs that nobody else is taking. It looks at each job that has
//! something available (a seek a job, over the index on queue, job and order), finds out how many of
//! each job are among the best (`wanted`), and then locks that many of each, passing over what
//! other claims have locked. So no claim waits for another, and none locks much more than it takes.
//! The condition `l.id + 0 = l.id` is always true, and taken for rare: what was chosen is then looked
//! up by its key, whatever the statistics say of the table.

use std::time::Duration;

use diesel::sql_types::{BigInt, Nullable, Text};

use super::PgSession;
use crate::store::{
    ClaimRequest, Claimed, ClaimedProgram, Fence, Floor, Held, Killed,
    sql::{
        Outcome, Session, millis, number,
        promote::kill,
        statement::{Statement, sql},
    },
};

pub(super) async fn claim(
    s: &mut PgSession,
    request: &ClaimRequest,
    look: bool,
) -> Outcome<Claimed> {
    let mut claimed = Claimed::default();
    let mut all_promoted = true;
    if look {
        (claimed.killed, all_promoted) = promote(s, request).await?;
    }
    take(s, request, &mut claimed, !look).await?;
    if look {
        claimed.next_due = match all_promoted {
            true => next_due(s).await?,
            false => Some(Duration::ZERO),
        };
    }
    Ok(claimed)
}

macro_rules! ready {
    () => {
        "p.ready = 1 AND p.finished_at IS NULL AND p.errored_at IS NULL"
    };
}

/// The bytes of a column, read only where it is compressed.
macro_rules! size {
    ($column:literal) => {
        concat!(
            "COALESCE(CASE WHEN pg_column_compression(p.",
            $column,
            ") IS NULL THEN pg_column_size(p.",
            $column,
            ") ELSE octet_length(p.",
            $column,
            "::text) END, 0)"
        )
    };
}

/// The beginning of each job that has something available: also of those of which nothing was among the
/// best.
fn beginnings(request: &ClaimRequest, present: &str) -> Vec<Floor> {
    let present: Vec<(String, String)> = serde_json::from_str(present).unwrap_or_default();
    let known = |job: &str| request.jobs.others || request.jobs.names.contains(job);
    present
        .into_iter()
        .filter(|(_, job)| known(job))
        .map(|(queue, job)| Floor::beginning(queue, job))
        .collect()
}

// The jobs that a claim may take, and from where on.
macro_rules! from_the_beginning {
    () => {
        concat!(
            "open (queue) AS (
       SELECT q.name COLLATE \"C\" FROM unnest(?) AS q (name)
       WHERE NOT EXISTS (SELECT FROM {table queues} p
         WHERE p.name = q.name COLLATE \"C\" AND p.paused_at IS NOT NULL)),
     present (queue, job) AS (
       SELECT o.queue, (SELECT p.job FROM {t} p WHERE ",
            ready!(),
            "    AND p.queue = o.queue ORDER BY p.queue, p.job LIMIT 1)
       FROM open o
       UNION ALL
       SELECT n.queue, (SELECT p.job FROM {t} p WHERE ",
            ready!(),
            "    AND p.queue = n.queue AND p.job > n.job ORDER BY p.queue, p.job LIMIT 1)
       FROM present n WHERE n.job IS NOT NULL),
     allowed (queue, job, room, floor_key, floor_id) AS MATERIALIZED (
       SELECT n.queue, n.job, COALESCE(k.room, ?), -9223372036854775808, 0::bigint
       FROM present n LEFT JOIN unnest(?, ?) AS k (job, room) ON k.job COLLATE \"C\" = n.job
       WHERE n.job IS NOT NULL),"
        )
    };
}

macro_rules! from_the_floors {
    () => {
        "
     allowed (queue, job, room, floor_key, floor_id) AS MATERIALIZED (
       SELECT f.queue COLLATE \"C\", f.job COLLATE \"C\", f.room, f.order_key, f.id
       FROM unnest(?, ?, ?, ?, ?) AS f (queue, job, room, order_key, id)
       WHERE NOT EXISTS (SELECT FROM {table queues} p
         WHERE p.name = f.queue COLLATE \"C\" AND p.paused_at IS NOT NULL)),"
    };
}

// `present`: what a claim from the beginning tells of the jobs that have something available.
macro_rules! claim {
    ($from:expr, $present:literal) => {
        concat!(
            "WITH RECURSIVE ",
            $from,
            "best AS (
               SELECT a.*, c.id, c.order_key,
                 row_number() OVER (PARTITION BY a.job ORDER BY c.order_key, c.id) AS place
               FROM allowed a CROSS JOIN LATERAL (
                 SELECT p.id, p.order_key FROM {t} p WHERE ",
            ready!(),
            "      AND p.queue = a.queue AND p.job = a.job AND p.crashes < ?
                   AND (p.order_key, p.id) > (a.floor_key, a.floor_id)
                 ORDER BY p.order_key, p.id LIMIT a.room) c
               WHERE a.room > 0),
             wanted AS MATERIALIZED (
               SELECT b.queue, b.job, b.floor_key, b.floor_id, count(*) AS number
               FROM (SELECT * FROM best WHERE place <= room ORDER BY order_key, id LIMIT ?) b
               GROUP BY b.queue, b.job, b.floor_key, b.floor_id),
             locked AS MATERIALIZED (
               SELECT c.* FROM wanted w CROSS JOIN LATERAL (
                 SELECT p.id, p.order_key, p.crashes, ",
            size!("jobs"),
            " + ",
            size!("program_data"),
            " + ",
            size!("job_data"),
            " + ",
            size!("outputs"),
            "      AS size FROM {t} p WHERE ",
            ready!(),
            "      AND p.queue = w.queue AND p.job = w.job AND p.crashes < ?
                   AND (p.order_key, p.id) > (w.floor_key, w.floor_id)
                 ORDER BY p.order_key, p.id LIMIT w.number FOR UPDATE SKIP LOCKED) c),
             chosen AS MATERIALIZED (
               SELECT l.id FROM (
                 SELECT id, row_number() OVER w AS place, sum(size) OVER w AS bytes,
                   crashes >= ? AS suspect,
                   count(*) FILTER (WHERE crashes >= ?) OVER w AS suspects
                 FROM locked
                 WINDOW w AS (ORDER BY order_key, id ROWS UNBOUNDED PRECEDING)) l
               WHERE (l.place = 1 OR l.bytes <= ?) AND (NOT l.suspect OR l.suspects <= ?)
                 AND l.id + 0 = l.id),
             taken AS (
               UPDATE {t} p SET token = p.token + 1, rev = p.rev + 1, ready = 0,
                 lease_until = {now_ms} + ?, worker = ?
               FROM chosen c WHERE p.id = c.id
               RETURNING p.*)
             SELECT (SELECT sum(number) FROM wanted)::bigint, (SELECT count(*) FROM locked),
               id::bigint, token, rev, COALESCE(run_id, ''), jobs::text,
               COALESCE(program_data::text, 'null'), COALESCE(job_data::text, '{}'), outputs::text,
               {step}::bigint, COALESCE(step_retry_count, 0)::bigint,
               child_ordinal::bigint, crashes::bigint, COALESCE(job, ''),
               queue, COALESCE(order_key, 0), COALESCE(shared_keys, 0)::bigint, ",
            $present,
            "
             FROM (SELECT) one LEFT JOIN taken ON TRUE ORDER BY order_key, id"
        )
    };
}

/// The statement that takes the best.
pub(super) fn best(request: &ClaimRequest) -> Statement<'_> {
    let slots = number(request.slots);
    let suspect_from = i64::from(request.suspect_from());
    let crashes = match request.suspects {
        0 => suspect_from,
        _ => i64::MAX,
    };
    let statement = if request.floors.is_empty() {
        // Of an unknown job there is room where unknown jobs are taken.
        let others = if request.jobs.others { slots } else { 0 };
        let names = || request.jobs.names.iter().copied();
        sql(claim!(
            from_the_beginning!(),
            "(SELECT jsonb_agg(jsonb_build_array(queue, job))::text FROM allowed)"
        ))
        .texts(request.queues.iter().map(|queue| Some(queue.into())))
        .int(others)
        .texts(names().map(|name| Some(name.into())))
        .ints(names().map(|name| Some(number(request.room_for(name)))))
    } else {
        let floors = || request.floors.iter();
        sql(claim!(from_the_floors!(), "NULL"))
            .texts(floors().map(|floor| Some(floor.queue.as_str().into())))
            .texts(floors().map(|floor| Some(floor.job.as_str().into())))
            .ints(floors().map(|floor| Some(number(request.room_for(&floor.job)))))
            .ints(floors().map(|floor| Some(floor.order_key)))
            .ints(floors().map(|floor| Some(floor.id)))
    };
    statement
        .int(crashes)
        .int(slots)
        .int(crashes)
        .int(suspect_from)
        .int(suspect_from)
        .int(number(request.bytes))
        .int(number(request.suspects))
        .int(millis(request.lease))
        .text(request.worker.to_string())
}

async fn take(
    s: &mut PgSession,
    request: &ClaimRequest,
    claimed: &mut Claimed,
    last: bool,
) -> Outcome<()> {
    type Count = Nullable<BigInt>;
    type Words = Nullable<Text>;
    type Sql = (
        (Count, BigInt, Count, Count, Count),
        (Words, Words, Words, Words, Words),
        (Count, Count, Count, Count, Words, Words, Count, Count),
        Words,
    );
    type Row = (
        (Option<i64>, i64, Option<i64>, Option<i64>, Option<i64>),
        (
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
        ),
        (
            Option<i64>,
            Option<i64>,
            Option<i64>,
            Option<i64>,
            Option<String>,
            Option<String>,
            Option<i64>,
            Option<i64>,
        ),
        Option<String>,
    );
    let statement = best(request);
    let suspect_from = i64::from(request.suspect_from());
    let slots = number(request.slots);
    let rows = if last {
        let rows = s.last_rows::<Sql, Row>(vec![statement]).await?;
        rows.into_iter().flatten().collect()
    } else {
        s.rows::<Sql, Row>(statement).await?
    };
    let (wanted, locked) = rows
        .first()
        .map_or((0, 0), |row| (row.0.0.unwrap_or(0), row.0.1));
    if let Some(present) = rows.first().and_then(|row| row.3.as_deref()) {
        claimed.floors = beginnings(request, present);
    }
    for row in rows {
        let ((_, _, Some(id), Some(token), Some(rev)), texts, numbers, _) = row else {
            continue;
        };
        let (run_id, jobs, program_data, job_data, outputs) = texts;
        let (step, retried, ordinal, crashes, job, queue, order_key, shared_keys) = numbers;
        let job = job.unwrap_or_default();
        let reached = Floor {
            queue: queue.unwrap_or_default(),
            job: job.clone(),
            order_key: order_key.unwrap_or(i64::MIN),
            id,
        };
        reached.note(&mut claimed.floors);
        let (jobs, program_data) = (jobs.unwrap_or_default(), program_data.unwrap_or_default());
        let (job_data, outputs) = (job_data.unwrap_or_default(), outputs.unwrap_or_default());
        claimed.programs.push(ClaimedProgram {
            fence: Fence { id, token, rev },
            run_id: run_id.unwrap_or_default().into(),
            job,
            bytes: jobs.len() + program_data.len() + job_data.len() + outputs.len(),
            jobs,
            program_data,
            job_data,
            outputs,
            step: usize::try_from(step.unwrap_or(0)).unwrap_or(0),
            retry_count: u32::try_from(retried.unwrap_or(0)).unwrap_or(0),
            ordinal: u32::try_from(ordinal.unwrap_or(0)).unwrap_or(0),
            shared_keys: shared_keys == Some(1),
            suspect: crashes.unwrap_or(0) >= suspect_from,
            hold: None,
        });
    }
    let taken = number(claimed.programs.len());
    claimed.contended = locked < wanted;
    claimed.more = taken < wanted || taken == slots || (request.suspects == 0);
    Ok(())
}

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
async fn promote(s: &mut PgSession, request: &ClaimRequest) -> Outcome<(Vec<Killed>, bool)> {
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

const NEXT_DUE: &str = "
SELECT LEAST(
  (SELECT {due} FROM {t}{delayed} AND {due} IS NOT NULL ORDER BY {due} LIMIT 1),
  (SELECT {due} FROM {t}{claimed} AND {due} IS NOT NULL ORDER BY {due} LIMIT 1)) - {now_ms}";

pub(super) fn next() -> Statement<'static> {
    sql(NEXT_DUE)
}

async fn next_due(s: &mut PgSession) -> Outcome<Option<Duration>> {
    let next = s.rows::<Nullable<BigInt>, Option<i64>>(next()).await?;
    let wait = |wait| Duration::from_millis(u64::try_from(wait).unwrap_or(0));
    Ok(next.into_iter().next().flatten().map(wait))
}
