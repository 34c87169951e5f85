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

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{
    Outcome, Session, millis, number, rows,
    statement::{Statement, composed, sql},
};
use crate::{
    job::{GlobalLimit, data_key},
    json,
    store::{Claimed, ClaimedProgram, Fence, Hold, LimitedJob, LimitedRequest},
};

/// Programs of one claim at most.
const MOST: usize = 64;

/// When to look again for what may have changed without a word, in milliseconds.
const SOON: i64 = 1000;

/// What is known of a limit under its lock.
#[derive(Debug)]
struct Standing {
    limit: GlobalLimit,
    /// Microseconds.
    spent_until: i64,
    held: i64,
    /// When the first place ends by itself, in milliseconds.
    first_end: Option<i64>,
    /// How many may start now.
    free: i64,
    taken: i64,
    parked: bool,
}

impl Standing {
    /// From when on nothing is to be known of the rate, in milliseconds.
    fn unspent_at(&self) -> i64 {
        self.spent_until.div_euclid(1000) + 1
    }

    /// When to look again where nothing more may start: all that stands in the way must have gone.
    fn next(&self, now: i64, until: i64) -> i64 {
        let place = match self.limit.concurrency {
            Some(most) if self.held + self.taken >= i64::from(most) => {
                Some(self.first_end.map_or(until, |end| end.min(until)))
            }
            _ => None,
        };
        let token = self
            .limit
            .rate
            .filter(|rate| rate.tokens(now * 1000, self.spent_until) == 0)
            .map(|rate| rate.next(self.spent_until).div_euclid(1000) + 1);
        place.max(token).unwrap_or(now)
    }
}

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
    /// The limit's name.
    name: String,
}

/// The best of each limited job that has something available.
async fn candidates<S: Session>(
    s: &mut S,
    request: &LimitedRequest,
) -> Outcome<Vec<(usize, Candidate)>> {
    const PAUSED: &str = "SELECT name FROM {table queues} WHERE paused_at IS NOT NULL";
    const CANDIDATES: &str = "
        SELECT {object}('id', id, 'order_key', COALESCE(order_key, 0), 'rev', rev,
          'crashes', crashes, 'step', COALESCE(step, 0), 'jobs', CAST(jobs AS {text}),
          'program_data', CAST(program_data AS {text}), 'job_data', CAST(job_data AS {text}),
          'bytes', OCTET_LENGTH(CAST(outputs AS {text})))
        FROM {t}{claimable} AND crashes < ? {in_order} LIMIT ?{unlocked}";
    #[derive(Deserialize)]
    struct Row {
        id: i64,
        order_key: i64,
        rev: i64,
        crashes: i64,
        step: usize,
        jobs: String,
        program_data: Option<String>,
        job_data: Option<String>,
        bytes: Option<usize>,
    }
    let paused = s.texts(sql(PAUSED)).await?;
    let suspect_from = i64::from(request.suspect_from);
    let crashes = match request.suspects {
        0 => suspect_from,
        _ => i64::MAX,
    };
    let mut found = Vec::new();
    let open = |queue: &&String| !paused.contains(queue);
    for queue in request.queues.iter().filter(open) {
        for (place, job) in request.jobs.iter().enumerate() {
            let most = job.room.min(request.slots);
            if most == 0 {
                continue;
            }
            // Where each has a limit of its own, more must be seen than can be taken.
            let most = match job.limit.key {
                Some(_) => MOST,
                None => most.min(MOST).min(most_at_once(job)),
            };
            let statement = sql(CANDIDATES)
                .text(queue)
                .text(job.name)
                .int(crashes)
                .int(number(most));
            for row in rows::<_, Row>(s, statement).await? {
                let (program_data, job_data) = (
                    row.program_data.unwrap_or_default(),
                    row.job_data.unwrap_or_default(),
                );
                let jobs = json::read::<Vec<String>>(&row.jobs).unwrap_or_default();
                let key = match jobs.len() > row.step {
                    true => data_key(&jobs, row.step),
                    false => String::new(),
                };
                let name = job.limit.name(job.name, &key, &job_data, &program_data);
                let candidate = Candidate {
                    id: row.id,
                    order_key: row.order_key,
                    rev: row.rev,
                    bytes: row.jobs.len()
                        + program_data.len()
                        + job_data.len()
                        + row.bytes.unwrap_or(0),
                    suspect: row.crashes >= suspect_from,
                    name,
                };
                found.push((place, candidate));
            }
        }
    }
    found.sort_by_key(|(_, candidate)| (candidate.order_key, candidate.id));
    Ok(found)
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
        if taken.len() == request.slots || room[place] == 0 || !fits || !lets_in {
            claimed.more = true;
            continue;
        }
        bytes += candidate.bytes;
        suspects += usize::from(candidate.suspect);
        room[place] -= 1;
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
    claimed.more |= !parked.is_empty();
    Ok(wake)
}

/// Locks the limits of these names, and counts what is free under each.
async fn standings<S: Session>(
    s: &mut S,
    names: BTreeMap<String, LimitedJob>,
    now: i64,
) -> Outcome<BTreeMap<String, Standing>> {
    const LOCK: &str = "
        SELECT CAST(spent_until AS {text}) FROM {table limits} WHERE name = ?{locked}";
    const ADD: &str = "{insert} INTO {table limits} (name, job) VALUES (?, ?){absent}";
    #[derive(Deserialize)]
    struct Held {
        name: String,
        held: i64,
        first_end: Option<i64>,
    }
    let mut standings = BTreeMap::new();
    for (name, job) in names {
        let spent_until = loop {
            let found = s.texts(sql(LOCK).text(name.as_str())).await?;
            if let Some(spent) = found.first() {
                break spent.parse().unwrap_or(0);
            }
            // It may go again before it is locked: who clears away the unused may have come first.
            s.run(sql(ADD).text(name.as_str()).text(job.name)).await?;
        };
        let standing = Standing {
            limit: job.limit,
            spent_until,
            held: 0,
            first_end: None,
            free: 0,
            taken: 0,
            parked: false,
        };
        standings.insert(name, standing);
    }
    let mut names: Vec<&str> = standings.keys().map(String::as_str).collect();
    // Rounded up, so that there are few different statements.
    let last = names.last().copied().unwrap_or_default();
    names.resize(names.len().next_power_of_two(), last);
    let places = vec!["?"; names.len()].join(", ");
    let held = composed(format!(
        "SELECT {{object}}('name', name, 'held', COUNT(*), 'first_end', MIN(held_until))
         FROM {{table holds}} WHERE name IN ({places}) AND held_until > {{now_ms}} GROUP BY name"
    ));
    let held = names
        .into_iter()
        .map(str::to_owned)
        .fold(held, Statement::text);
    for row in rows::<_, Held>(s, held).await? {
        if let Some(standing) = standings.get_mut(&row.name) {
            standing.held = row.held;
            standing.first_end = row.first_end;
        }
    }
    for standing in standings.values_mut() {
        let places = standing
            .limit
            .concurrency
            .map_or(i64::MAX, |most| i64::from(most) - standing.held);
        let tokens = standing.limit.rate.map_or(i64::MAX, |rate| {
            rate.tokens(now * 1000, standing.spent_until)
        });
        standing.free = places.min(tokens).max(0);
    }
    Ok(standings)
}

/// Notes what was spent, and when to look again where programs wait or nothing is left to be known.
async fn note<S: Session>(
    s: &mut S,
    standings: &BTreeMap<String, Standing>,
    now: i64,
    until: i64,
) -> Outcome<()> {
    const NOTE: &str = "
        UPDATE {table limits} SET spent_until = ?,
          recheck_at = CASE WHEN recheck_at < ? THEN recheck_at ELSE ? END
        WHERE name = ?";
    for (name, standing) in standings {
        let keyed = standing.limit.key.is_some();
        if !keyed && standing.taken == 0 {
            continue;
        }
        let next = match standing.parked {
            true => standing.next(now, until),
            // To clear the row away.
            false => until.max(standing.unspent_at()),
        };
        let next = keyed.then_some(next);
        let statement = sql(NOTE)
            .int(standing.spent_until)
            .int(next)
            .int(next)
            .text(name.as_str());
        s.run(statement).await?;
    }
    Ok(())
}

/// Takes programs out of the claims' way, until there is room for them.
async fn park<S: Session>(s: &mut S, programs: &[Candidate]) -> Outcome<()> {
    // Who cancels, reschedules or deletes it meanwhile raises rev, or takes it away.
    const PARK: &str = "
        UPDATE {t} SET ready = 0, available_at = NULL WHERE id = ?";
    const FORGET: &str = "DELETE FROM {table parked} WHERE program = ?";
    const REMEMBER: &str = "
        INSERT INTO {table parked} (program, rev, name, order_key) VALUES (?, ?, ?, ?)";
    for program in programs {
        s.run(sql(PARK).int(program.id)).await?;
        s.run(sql(FORGET).int(program.id)).await?;
        let remember = sql(REMEMBER)
            .int(program.id)
            .int(program.rev)
            .text(program.name.as_str())
            .int(program.order_key);
        s.run(remember).await?;
    }
    Ok(())
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
          'step', COALESCE(step, 0), 'retried', COALESCE(step_retry_count, 0),
          'ordinal', child_ordinal)
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
            job: job.name.to_owned(),
            jobs: row.jobs,
            program_data: row.program_data.unwrap_or_else(|| "null".to_owned()),
            job_data: row.job_data.unwrap_or_else(|| "{}".to_owned()),
            outputs: row.outputs.unwrap_or_else(|| "{}".to_owned()),
            step: row.step,
            retry_count: row.retried,
            ordinal: row.ordinal,
            bytes: candidate.bytes,
            suspect: candidate.suspect,
            hold: Some(hold),
        });
    }
    Ok(programs)
}

/// The limits at which it is time to look, of the jobs that this worker knows.
async fn due<S: Session>(s: &mut S, jobs: &[LimitedJob]) -> Outcome<BTreeMap<String, LimitedJob>> {
    const DUE: &str = "
        SELECT {object}('name', name, 'job', job) FROM {table limits}
        WHERE recheck_at <= {now_ms} ORDER BY recheck_at LIMIT ?";
    #[derive(Deserialize)]
    struct Row {
        name: String,
        job: String,
    }
    let due = rows::<_, Row>(s, sql(DUE).int(number(MOST))).await?;
    let known = due.into_iter().filter_map(|row| {
        let job = jobs.iter().find(|job| job.name == row.job)?;
        Some((row.name, *job))
    });
    Ok(known.collect())
}

/// When the next limit is to be looked at, in milliseconds.
async fn next_recheck<S: Session>(s: &mut S, jobs: &[LimitedJob]) -> Outcome<Option<i64>> {
    const NEXT: &str = "
        SELECT CAST(recheck_at AS {text}) FROM {table limits} WHERE recheck_at IS NOT NULL
        ORDER BY recheck_at LIMIT 1";
    if jobs.iter().all(|job| job.limit.key.is_none()) {
        return Ok(None);
    }
    let next = s.texts(sql(NEXT)).await?;
    Ok(next.first().and_then(|next| next.parse().ok()))
}

/// Brings back as many of the parked programs as there is room for, and clears away limits that
/// nothing is to be known of any more.
async fn recheck<S: Session>(
    s: &mut S,
    due: &BTreeMap<String, LimitedJob>,
    now: i64,
) -> Outcome<()> {
    const PARKED: &str = "
        SELECT {object}('program', program, 'rev', rev) FROM {table parked} WHERE name = ?
        ORDER BY name, order_key, program LIMIT ?";
    // Where it was cancelled, rescheduled or deleted meanwhile, it is not ours any more.
    const UNPARK: &str = "
        UPDATE {t} SET ready = 1, available_at = {now_ms}
        WHERE id = ? AND rev = ? AND ready = 0 AND available_at IS NULL AND lease_until IS NULL
          AND finished_at IS NULL AND errored_at IS NULL";
    const FORGET: &str = "DELETE FROM {table parked} WHERE program = ?";
    const LATER: &str = "UPDATE {table limits} SET recheck_at = ? WHERE name = ?";
    const CLEAR: &str = "DELETE FROM {table limits} WHERE name = ?";
    #[derive(Deserialize)]
    struct Row {
        program: i64,
        rev: i64,
    }
    for (name, mut standing) in standings(s, due.clone(), now).await? {
        // Never more than one claim looks at; and one more, to know whether others wait.
        let free = usize::try_from(standing.free).unwrap_or(0).min(MOST);
        let parked = sql(PARKED).text(name.as_str()).int(number(free + 1));
        let parked = rows::<_, Row>(s, parked).await?;
        let others = parked.len() > free;
        let mut came_back = 0;
        for row in parked.into_iter().take(free) {
            let unpark = sql(UNPARK).int(row.program).int(row.rev);
            came_back += i64::from(s.run(unpark).await? > 0);
            s.run(sql(FORGET).int(row.program)).await?;
        }
        // As if those that come back had started: the next claim notes what they have really taken.
        standing.taken += came_back;
        if let Some(rate) = standing.limit.rate {
            standing.spent_until = rate.spend(now * 1000, standing.spent_until, came_back);
        }
        let nothing_is_known = standing.held + standing.taken == 0 && standing.unspent_at() <= now;
        if others {
            let next = standing.next(now, now + SOON).max(now + 1);
            s.run(sql(LATER).int(next).text(name.as_str())).await?;
        } else if nothing_is_known {
            s.run(sql(CLEAR).text(name.as_str())).await?;
        } else {
            let next = standing.first_end.unwrap_or(now + SOON);
            let next = next.max(standing.unspent_at());
            s.run(sql(LATER).int(next).text(name.as_str())).await?;
        }
    }
    Ok(())
}

/// Gives places back, in the order of the limits' names.
pub(in crate::store) async fn release<S: Session>(s: &mut S, holds: &[Hold]) -> Outcome<()> {
    const RELEASE: &str = "DELETE FROM {table holds} WHERE program = ? AND token = ?";
    // Limits without a key have nothing parked: whoever has room is told.
    const LOOK: &str = "
        UPDATE {table limits} SET recheck_at = {now_ms}
        WHERE name = ? AND recheck_at IS NOT NULL";
    let mut sorted: Vec<&Hold> = holds.iter().collect();
    sorted.sort();
    for hold in &sorted {
        s.run(sql(RELEASE).int(hold.program).int(hold.token))
            .await?;
    }
    sorted.dedup_by(|a, b| a.name == b.name);
    for hold in sorted {
        s.run(sql(LOOK).text(hold.name.as_str())).await?;
    }
    Ok(())
}

/// Extends the places of a worker that lives; what has ended stays ended.
pub(in crate::store) async fn extend<S: Session>(
    s: &mut S,
    worker: crate::store::WorkerId,
    time: Duration,
) -> Outcome<()> {
    const EXTEND: &str = "
        UPDATE {table holds} SET held_until = {now_ms} + ? WHERE worker = ? AND held_until > {now_ms}";
    let statement = sql(EXTEND).int(millis(time)).text(worker.to_string());
    s.run(statement).await.map(drop)
}
