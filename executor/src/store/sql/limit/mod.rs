//! Limits over all workers (SEMANTICS §4.4 and §4.5).
//!
//! Who claims a limited job locks the limit's row first, counts who holds a place under it, and takes
//! no more than are free: so all who decide stand in one line. A place is a row of its own, with an
//! end a little behind that of the lease: it is given back when the body has ended, whatever has
//! become of the program meanwhile, and by itself when the worker is dead. Tokens of a rate are one
//! number of the limit's row, counted by the database's clock.
//!
//! Under a limit without a key no more programs are looked at than there is room for. Where each value
//! of a field has a limit of its own, programs of one that is full stand in the way of the others:
//! they are parked, each once, and come back in their order when there is room. The limit's row says
//! when to look again (`recheck_at`): now, when a place was given back; and else at the next token, or
//! when the first place ends by itself.
//!
//! Rows of limits are locked in the order of their names, one transaction locks them once, and so
//! nobody waits in a circle.

mod parked;
mod places;
mod standing;

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

pub(in crate::store) use self::places::{extend, release};
use self::{
    parked::{due, next_recheck, park, recheck},
    standing::{note, standings},
};
use super::{
    Flag, Outcome, Session, list, millis, number, rows,
    statement::{composed, sql},
};
use crate::{
    config::Share,
    job::data_key,
    json,
    store::{Claimed, ClaimedProgram, Fence, Hold, LimitedJob, LimitedRequest},
};

/// Programs of one claim at most.
const MOST: usize = 64;

/// When to look again for what may have changed without a word, in milliseconds.
const SOON: i64 = 1000;

/// Takes what the limits let start. What waits for a limit that has room again comes back before;
/// that was a transaction of its own, where the answer says to come again at once.
pub(in crate::store) async fn claim<S: Session>(
    s: &mut S,
    request: &LimitedRequest,
) -> Outcome<Claimed> {
    let mut claimed = Claimed::default();
    let now = now(s).await?;
    let due = due(s, &request.jobs).await?;
    if !due.is_empty() {
        recheck(s, &due, now).await?;
        claimed.more = true;
        claimed.next_due = Some(Duration::ZERO);
        return Ok(claimed);
    }
    let candidates = candidates(s, request).await?;
    let mut wake = None;
    if !candidates.is_empty() {
        wake = decide(s, request, candidates, now, &mut claimed).await?;
    }
    let next = next_recheck(s, &request.jobs).await?;
    let first = wake.into_iter().chain(next).min();
    claimed.next_due = first.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0)));
    Ok(claimed)
}

async fn now<S: Session>(s: &mut S) -> Outcome<i64> {
    const NOW: &str = "SELECT CAST({now_ms} AS {text})";
    let now = s.texts(sql(NOW)).await?;
    Ok(now.first().and_then(|now| now.parse().ok()).unwrap_or(0))
}

/// A program that could be taken, before the limits have their say.
struct Candidate {
    id: i64,
    order_key: i64,
    rev: i64,
    bytes: usize,
    suspect: bool,
    queue: String,
    /// Whose slots it takes.
    share: usize,
    /// The limit's name.
    name: String,
}

/// The best of each limited job that has something available, in their order.
async fn candidates<S: Session>(
    s: &mut S,
    request: &LimitedRequest,
) -> Outcome<Vec<(usize, Candidate)>> {
    const PAUSED: &str = "SELECT name FROM {table queues} WHERE paused_at IS NOT NULL";
    const CANDIDATES: &str = "
        SELECT {object}('id', id, 'order_key', COALESCE(order_key, 0), 'rev', rev,
          'crashes', crashes, 'bytes', OCTET_LENGTH(CAST(jobs AS {text}))
            + COALESCE(OCTET_LENGTH(CAST(program_data AS {text})), 0)
            + COALESCE(OCTET_LENGTH(CAST(job_data AS {text})), 0)
            + OCTET_LENGTH(CAST(outputs AS {text})))
        FROM {t}{claimable} AND crashes < ? {in_order} LIMIT ?{unlocked}";
    #[derive(Deserialize)]
    struct Row {
        id: i64,
        order_key: i64,
        rev: i64,
        crashes: i64,
        bytes: usize,
    }
    let paused = s.texts(sql(PAUSED)).await?;
    let suspect_from = i64::from(request.suspect_from);
    let crashes = match request.suspects {
        0 => suspect_from,
        _ => i64::MAX,
    };
    let mut found = Vec::new();
    let mut queues = Share::queues(&request.shares);
    queues.retain(|(_, queue)| !paused.contains(queue));
    for (share, queue) in queues {
        for (place, job) in request.jobs.iter().enumerate() {
            let most = job.room.min(request.shares[share].slots).min(MOST);
            if most == 0 {
                continue;
            }
            // Where each has a limit of its own, more must be seen than can be taken.
            let most = match job.limit.key {
                Some(_) => MOST,
                None => most.min(most_at_once(job)),
            };
            let statement = sql(CANDIDATES)
                .text(queue)
                .text(job.name)
                .int(crashes)
                .int(number(most));
            let candidate = |row: Row| Candidate {
                id: row.id,
                order_key: row.order_key,
                rev: row.rev,
                bytes: row.bytes,
                suspect: row.crashes >= suspect_from,
                queue: queue.clone(),
                share,
                name: job.name.to_owned(),
            };
            let rows = rows::<_, Row>(s, statement).await?;
            let mut candidates: Vec<_> = rows.into_iter().map(candidate).collect();
            if job.limit.key.is_some() {
                name_by_key(s, job, &mut candidates).await?;
            }
            found.extend(candidates.into_iter().map(|candidate| (place, candidate)));
        }
    }
    found.sort_by_key(|(_, candidate)| (candidate.order_key, candidate.id));
    Ok(found)
}

/// Finds out the limits of programs that have one for each value of a field. Their data is read in
/// portions: large programs must not fill the memory before the limits have had their say.
async fn name_by_key<S: Session>(
    s: &mut S,
    job: &LimitedJob,
    mut candidates: &mut [Candidate],
) -> Outcome<()> {
    const BYTES: usize = 4 << 20;
    #[derive(Deserialize)]
    struct Row {
        id: i64,
        step: usize,
        jobs: String,
        program_data: Option<String>,
        job_data: Option<String>,
    }
    while !candidates.is_empty() {
        let mut bytes = 0;
        let fits = candidates.iter().take_while(|candidate| {
            bytes += candidate.bytes;
            bytes <= BYTES
        });
        let portion = fits.count().max(1);
        let (now, later) = candidates.split_at_mut(portion);
        candidates = later;
        let ids = now.iter().map(|candidate| candidate.id).collect();
        let (places, ids) = list(ids, 0);
        let read = composed(format!(
            "SELECT {{object}}('id', id, 'step', {{step}}, 'jobs', CAST(jobs AS {{text}}),
               'program_data', CAST(program_data AS {{text}}), 'job_data', CAST(job_data AS {{text}}))
             FROM {{t}} WHERE id IN ({places})"
        ));
        let read = ids.into_iter().fold(read, |read, id| read.int(id));
        for row in rows::<_, Row>(s, read).await? {
            let jobs = json::read::<Vec<String>>(&row.jobs).unwrap_or_default();
            // One whose list is spoilt is taken as it is, and ends as errored.
            let key = match jobs.len() > row.step {
                true => data_key(&jobs, row.step),
                false => String::new(),
            };
            let (job_data, program_data) = (row.job_data, row.program_data);
            if let Some(candidate) = now.iter_mut().find(|candidate| candidate.id == row.id) {
                candidate.name = job.limit.name(
                    job.name,
                    &key,
                    job_data.as_deref().unwrap_or_default(),
                    program_data.as_deref().unwrap_or_default(),
                );
            }
        }
    }
    Ok(())
}

/// More of a job than that never start at one moment.
fn most_at_once(job: &LimitedJob) -> usize {
    usize::try_from(job.limit.concurrency.unwrap_or(u32::MAX)).unwrap_or(usize::MAX)
}

/// Takes the candidates for which there is room, and parks those that stand in the way of others; when
/// it is worth while to come again for the rest, in milliseconds.
async fn decide<S: Session>(
    s: &mut S,
    request: &LimitedRequest,
    candidates: Vec<(usize, Candidate)>,
    now: i64,
    claimed: &mut Claimed,
) -> Outcome<Option<i64>> {
    let mut names = BTreeMap::new();
    for (place, candidate) in &candidates {
        names.insert(candidate.name.clone(), request.jobs[*place]);
    }
    let mut standings = standings(s, names, now).await?;
    let mut room: Vec<usize> = request.jobs.iter().map(|job| job.room).collect();
    let mut free: Vec<usize> = request.shares.iter().map(|share| share.slots).collect();
    let (mut bytes, mut suspects) = (0, 0);
    let (mut taken, mut parked) = (Vec::new(), Vec::new());
    let until = now + millis(request.lease) + millis(request.grace);
    let mut wake: Option<i64> = None;
    for (place, candidate) in candidates {
        let Some(standing) = standings.get_mut(&candidate.name) else {
            continue;
        };
        if standing.free == 0 {
            match standing.limit.key {
                Some(_) => {
                    standing.parked = true;
                    parked.push(candidate);
                }
                None => {
                    let next = standing.next(now, until);
                    wake = Some(wake.map_or(next, |at| at.min(next)));
                }
            }
            continue;
        }
        let fits = taken.is_empty() || bytes + candidate.bytes <= request.bytes;
        let lets_in = !candidate.suspect || suspects < request.suspects;
        if free[candidate.share] == 0 || room[place] == 0 || !fits || !lets_in {
            claimed.more = true;
            continue;
        }
        bytes += candidate.bytes;
        suspects += usize::from(candidate.suspect);
        room[place] -= 1;
        free[candidate.share] -= 1;
        standing.free -= 1;
        standing.taken += 1;
        if let Some(rate) = standing.limit.rate {
            standing.spent_until = rate.spend(now * 1000, standing.spent_until, 1);
        }
        taken.push((request.jobs[place], candidate));
    }
    park(s, &parked).await?;
    note(s, &standings, now, until).await?;
    claimed.programs = take(s, request, taken, until).await?;
    // Behind those that were parked there may be others, which have room.
    Ok(if parked.is_empty() { wake } else { Some(now) })
}

/// Takes these programs, which are locked, and a place under its limit for each.
async fn take<S: Session>(
    s: &mut S,
    request: &LimitedRequest,
    taken: Vec<(LimitedJob, Candidate)>,
    until: i64,
) -> Outcome<Vec<ClaimedProgram>> {
    const TAKE: &str = "
        UPDATE {t} SET token = token + 1, rev = rev + 1, ready = 0, lease_until = {now_ms} + ?,
          worker = ? WHERE id = ?";
    const READ: &str = "
        SELECT {object}('token', token, 'rev', rev, 'run_id', COALESCE(run_id, ''),
          'jobs', CAST(jobs AS {text}), 'program_data', CAST(program_data AS {text}),
          'job_data', CAST(job_data AS {text}), 'outputs', CAST(outputs AS {text}),
          'step', {step}, 'retried', COALESCE(step_retry_count, 0),
          'ordinal', child_ordinal, 'shared_keys', COALESCE(shared_keys, 0) = 1)
        FROM {t} WHERE id = ?";
    const HOLD: &str = "
        INSERT INTO {table holds} (program, token, name, worker, held_until) VALUES (?, ?, ?, ?, ?)";
    #[derive(Deserialize)]
    struct Row {
        token: i64,
        rev: i64,
        run_id: String,
        jobs: String,
        program_data: Option<String>,
        job_data: Option<String>,
        outputs: Option<String>,
        step: usize,
        retried: u32,
        ordinal: u32,
        shared_keys: Flag,
    }
    let mut programs = Vec::with_capacity(taken.len());
    for (job, candidate) in taken {
        let take = sql(TAKE)
            .int(millis(request.lease))
            .text(request.worker.to_string())
            .int(candidate.id);
        s.run(take).await?;
        let row = rows::<_, Row>(s, sql(READ).int(candidate.id)).await?;
        let Some(row) = row.into_iter().next() else {
            continue;
        };
        let hold = Hold {
            name: candidate.name,
            program: candidate.id,
            token: row.token,
        };
        let statement = sql(HOLD)
            .int(hold.program)
            .int(hold.token)
            .text(hold.name.clone())
            .text(request.worker.to_string())
            .int(until);
        s.run(statement).await?;
        programs.push(ClaimedProgram {
            fence: Fence {
                id: candidate.id,
                token: row.token,
                rev: row.rev,
            },
            run_id: row.run_id.into(),
            queue: candidate.queue,
            job: job.name.to_owned(),
            jobs: row.jobs,
            program_data: row.program_data.unwrap_or_else(|| "null".to_owned()),
            job_data: row.job_data.unwrap_or_else(|| "{}".to_owned()),
            outputs: row.outputs.unwrap_or_else(|| "{}".to_owned()),
            step: row.step,
            retry_count: row.retried,
            ordinal: row.ordinal,
            shared_keys: row.shared_keys.0,
            bytes: candidate.bytes,
            suspect: candidate.suspect,
            hold: Some(hold),
        });
    }
    Ok(programs)
}
