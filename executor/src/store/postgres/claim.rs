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

use super::{PgSession, promote::promote};
use crate::{
    config::Share,
    store::{
        ClaimRequest, Claimed, ClaimedProgram, Fence, Floor,
        sql::{
            Outcome, millis, number,
            statement::{Statement, sql},
        },
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

// The same where queues have slots of their own: of some shares from the beginning, of others from the
// floors.
macro_rules! from_both {
    () => {
        concat!(
            "open (queue, share, free) AS (
       SELECT q.name COLLATE \"C\", q.share, q.free FROM unnest(?, ?, ?) AS q (name, share, free)
       WHERE NOT EXISTS (SELECT FROM {table queues} p
         WHERE p.name = q.name COLLATE \"C\" AND p.paused_at IS NOT NULL)),
     present (queue, share, free, job) AS (
       SELECT o.queue, o.share, o.free, (SELECT p.job FROM {t} p WHERE ",
            ready!(),
            "    AND p.queue = o.queue ORDER BY p.queue, p.job LIMIT 1)
       FROM open o
       UNION ALL
       SELECT n.queue, n.share, n.free, (SELECT p.job FROM {t} p WHERE ",
            ready!(),
            "    AND p.queue = n.queue AND p.job > n.job ORDER BY p.queue, p.job LIMIT 1)
       FROM present n WHERE n.job IS NOT NULL),
     allowed (queue, job, room, floor_key, floor_id, share, free) AS MATERIALIZED (
       SELECT n.queue, n.job, COALESCE(k.room, ?), -9223372036854775808, 0::bigint, n.share, n.free
       FROM present n LEFT JOIN unnest(?, ?) AS k (job, room) ON k.job COLLATE \"C\" = n.job
       WHERE n.job IS NOT NULL
       UNION ALL
       SELECT f.queue COLLATE \"C\", f.job COLLATE \"C\", f.room, f.order_key, f.id, f.share, f.free
       FROM unnest(?, ?, ?, ?, ?, ?, ?) AS f (queue, job, room, order_key, id, share, free)
       WHERE NOT EXISTS (SELECT FROM {table queues} p
         WHERE p.name = f.queue COLLATE \"C\" AND p.paused_at IS NOT NULL)),"
        )
    };
}

// `most`: how many of a queue and job can be taken; `among`: the best of all, as far as there is room;
// `present`: what a claim from the beginning tells of the jobs that have something available.
macro_rules! claim {
    ($from:expr, $most:literal, $among:literal, $present:literal) => {
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
                 ORDER BY p.order_key, p.id LIMIT ",
            $most,
            ") c
               WHERE a.room > 0),
             wanted AS MATERIALIZED (
               SELECT b.queue, b.job, b.floor_key, b.floor_id, count(*) AS number
               FROM (SELECT * FROM ",
            $among,
            " ORDER BY order_key, id LIMIT ?) b
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
    // Of an unknown job there is room where unknown jobs are taken.
    let others = if request.jobs.others { slots } else { 0 };
    let names = || request.jobs.names.iter().copied();
    let queues = Share::queues(&request.shares);
    let statement = if request.is_divided() {
        best_of_shares(request, others)
    } else if request.floors.is_empty() {
        sql(claim!(
            from_the_beginning!(),
            "a.room",
            "best WHERE place <= room",
            "(SELECT jsonb_agg(jsonb_build_array(queue, job))::text FROM allowed)"
        ))
        .texts(queues.into_iter().map(|(_, queue)| Some(queue.into())))
        .int(others)
        .texts(names().map(|name| Some(name.into())))
        .ints(names().map(|name| Some(number(request.room_for(name)))))
    } else {
        let floors = || request.floors.iter();
        sql(claim!(
            from_the_floors!(),
            "a.room",
            "best WHERE place <= room",
            "NULL"
        ))
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

/// The beginning of that statement where queues have slots of their own.
fn best_of_shares(request: &ClaimRequest, others: i64) -> Statement<'_> {
    let names = || request.jobs.names.iter().copied();
    let floors = || request.floors.iter();
    let share = |queue: &str| request.share_of(queue);
    let free = |queue: &str| number(request.shares[share(queue)].slots);
    let have_floors: Vec<usize> = floors().map(|floor| share(&floor.queue)).collect();
    let mut begin = Share::queues(&request.shares);
    begin.retain(|(share, _)| !have_floors.contains(share));
    let begin = || begin.iter().copied();
    sql(claim!(
        from_both!(),
        "least(a.room, a.free)",
        "(SELECT *, row_number() OVER (PARTITION BY share ORDER BY order_key, id) AS among
          FROM best WHERE place <= room) s WHERE among <= free",
        "(SELECT jsonb_agg(jsonb_build_array(queue, job))::text FROM present WHERE job IS NOT NULL)"
    ))
    .texts(begin().map(|(_, queue)| Some(queue.into())))
    .ints(begin().map(|(share, _)| Some(number(share))))
    .ints(begin().map(|(share, _)| Some(number(request.shares[share].slots))))
    .int(others)
    .texts(names().map(|name| Some(name.into())))
    .ints(names().map(|name| Some(number(request.room_for(name)))))
    .texts(floors().map(|floor| Some(floor.queue.as_str().into())))
    .texts(floors().map(|floor| Some(floor.job.as_str().into())))
    .ints(floors().map(|floor| Some(number(request.room_for(&floor.job)))))
    .ints(floors().map(|floor| Some(floor.order_key)))
    .ints(floors().map(|floor| Some(floor.id)))
    .ints(floors().map(|floor| Some(number(share(&floor.queue)))))
    .ints(floors().map(|floor| Some(free(&floor.queue))))
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
        let queue = queue.unwrap_or_default();
        let reached = Floor {
            queue: queue.clone(),
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
            queue,
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
    claimed.again = request.is_divided()
        && (taken < locked || taken == slots || may_be_kept_back(request, claimed));
    Ok(())
}

/// Whether a place in a job that has a limit in this worker may have been kept for a program for which there
/// was no slot then: the statement looks at the places before it looks at the slots.
fn may_be_kept_back(request: &ClaimRequest, claimed: &Claimed) -> bool {
    let taken = request.taken_of_shares(&claimed.programs);
    let is_full = |queue: &str| {
        let share = request.share_of(queue);
        taken[share] == request.shares[share].slots
    };
    let has_room = |job: &str, room: usize| {
        let taken = claimed.programs.iter().filter(|program| program.job == job);
        taken.count() < room
    };
    let stands_in = |job: &str, full: bool| {
        let mut pairs = request.floors.iter().chain(&claimed.floors);
        pairs.any(|it| it.job == job && is_full(&it.queue) == full)
    };
    let mut jobs = request.room.iter();
    jobs.any(|(job, room)| has_room(job, *room) && stands_in(job, true) && stands_in(job, false))
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
