//! Claims: what is due becomes available, and the best of it goes to a worker.
//!
//! A claim first looks, in one statement and no transaction, at what is there: at each pair of a queue
//! and a job that the worker knows (a seek a pair), and at the next due time. Where nothing is to
//! be had, that is all. Else it finds out how many of each pair are among the best, and locks that
//! many of each, passing over what other claims have locked. So no claim waits for another, and none
//! locks much more than it takes.

use std::time::Duration;

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{
    MySession,
    promote::promote,
    read::{Locked, read},
    rows::{texts, words},
};
use crate::{
    config::Share,
    store::{
        ClaimRequest, Claimed, Floor,
        sql::{
            Outcome, Session, millis, number,
            statement::{Statement, composed, sql},
        },
    },
};

pub(super) async fn claim(
    s: &mut MySession,
    request: &ClaimRequest,
    look: bool,
) -> Outcome<Claimed> {
    let mut claimed = Claimed::default();
    let mut pairs: Vec<Pair> = request
        .floors
        .iter()
        .map(|floor| Pair::at(floor, request))
        .collect();
    let from_floors: Vec<usize> = pairs.iter().map(|pair| pair.share).collect();
    let from_the_beginning = |share: usize| !from_floors.contains(&share);
    let all_from_floors = !(0..request.shares.len()).any(from_the_beginning);
    if look || !all_from_floors {
        let mut seen = survey(s, request, false).await?;
        if look && seen.next_due.is_some_and(|due| due.is_zero()) {
            let promoted = promote(s, request).await?;
            claimed.killed = promoted.killed;
            seen = survey(s, request, true).await?;
            if promoted.all && seen.next_due.is_some_and(|due| due.is_zero()) {
                // What is left somebody holds locked.
                seen.next_due = Some(Duration::from_millis(50));
            }
        }
        claimed.next_due = seen.next_due;
        seen.pairs.retain(|pair| from_the_beginning(pair.share));
        // Also of those of which nothing is among the best.
        claimed.floors = seen.pairs.iter().map(Pair::beginning).collect();
        pairs.append(&mut seen.pairs);
    }
    pairs.retain(|pair| pair.room > 0);
    if !pairs.is_empty() {
        take(s, request, &pairs, &mut claimed).await?;
    }
    if look && !claimed.programs.is_empty() {
        let lease = request.lease;
        claimed.next_due = Some(claimed.next_due.map_or(lease, |due| due.min(lease)));
    }
    claimed.more |= request.suspects == 0;
    Ok(claimed)
}

/// The programs of one queue at one job.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) queue: String,
    pub(super) job: String,
    share: usize,
    /// What its job has, in all queues.
    room: usize,
    /// How many of it can be taken at most.
    most: usize,
    /// From where on.
    from: i64,
}

impl Pair {
    fn new(queue: String, job: String, request: &ClaimRequest) -> Self {
        let (share, room) = (request.share_of(&queue), request.room_for(&job));
        Self {
            room,
            most: room.min(request.shares[share].slots),
            share,
            queue,
            job,
            from: i64::MIN,
        }
    }

    fn beginning(&self) -> Floor {
        Floor::beginning(self.queue.clone(), self.job.clone())
    }

    pub(super) fn at(floor: &Floor, request: &ClaimRequest) -> Self {
        Self {
            from: floor.order_key,
            ..Self::new(floor.queue.clone(), floor.job.clone(), request)
        }
    }
}

/// What is there to be had.
struct Seen {
    pairs: Vec<Pair>,
    next_due: Option<Duration>,
}

// The limits keep the optimizer from making joins of it, whose plans would be its own.
macro_rules! next {
    () => {
        concat!(
            "SELECT NULL, NULL, ",
            next!("''"),
            " UNION ALL SELECT NULL, NULL, ",
            next!("'claimed'")
        )
    };
    ($what:literal) => {
        concat!(
            "(SELECT p.wake_at - {now_ms} FROM {t} p FORCE INDEX ({name wake})
              WHERE p.wake_queue = '' AND p.wake_job = ",
            $what,
            " AND p.wake_at > -9223372036854775808 ORDER BY p.wake_at LIMIT 1)"
        )
    };
}

/// Which pairs of a queue and a job are there, and after which time something is due.
pub(super) fn look(request: &ClaimRequest) -> Statement<'static> {
    const LOOK: &str = concat!(
        "SELECT q.word, j.word, NULL FROM ",
        words!("q"),
        " STRAIGHT_JOIN ",
        words!("j"),
        " WHERE (SELECT 1 FROM {table queues} c
             WHERE c.name = q.word AND c.paused_at IS NOT NULL LIMIT 1) IS NULL
           AND (SELECT 1 FROM {t} p FORCE INDEX ({name wake})
             WHERE p.wake_queue = q.word AND p.wake_job = j.word LIMIT 1) IS NOT NULL
         UNION ALL ",
        next!()
    );
    sql(LOOK)
        .text(texts(
            Share::queues(&request.shares)
                .iter()
                .map(|(_, queue)| queue),
        ))
        .text(texts(&request.jobs.names))
}

async fn survey(s: &mut MySession, request: &ClaimRequest, begun: bool) -> Outcome<Seen> {
    type Sql = (Nullable<Text>, Nullable<Text>, Nullable<BigInt>);
    type Row = (Option<String>, Option<String>, Option<i64>);
    let rows = match begun {
        true => s.rows::<Sql, Row>(look(request)).await?,
        false => s.rows_before::<Sql, Row>(look(request)).await?,
    };
    let mut seen = Seen {
        pairs: Vec::new(),
        next_due: None,
    };
    for row in rows {
        match row {
            (Some(queue), Some(job), _) => seen.pairs.push(Pair::new(queue, job, request)),
            (_, _, Some(wait)) => {
                let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
                seen.next_due = seen.next_due.into_iter().chain([wait]).min();
            }
            _ => {}
        }
    }
    if request.jobs.others {
        seen.pairs = all_pairs(s, request).await?;
    }
    Ok(seen)
}

/// The next job of a queue, in the order of their names.
pub(super) fn next_job(queue: &str, behind: &str) -> Statement<'static> {
    const NEXT: &str = "
        SELECT wake_job FROM {t} FORCE INDEX ({name wake})
        WHERE wake_queue = ? AND wake_job > ? ORDER BY wake_job LIMIT 1";
    sql(NEXT).text(queue.to_owned()).text(behind.to_owned())
}

/// The pairs where unknown jobs are taken too: a statement a pair.
async fn all_pairs(s: &mut MySession, request: &ClaimRequest) -> Outcome<Vec<Pair>> {
    const PAUSED: &str = "SELECT name FROM {table queues} WHERE paused_at IS NOT NULL";
    let paused = s.texts(sql(PAUSED)).await?;
    let mut pairs = Vec::new();
    let mut queues = Share::queues(&request.shares);
    queues.retain(|(_, queue)| !paused.contains(queue));
    for (_, queue) in queues {
        let mut behind = String::new();
        while let Some(job) = s.texts(next_job(queue, &behind)).await?.pop() {
            behind.clone_from(&job);
            pairs.push(Pair::new(queue.clone(), job, request));
        }
    }
    Ok(pairs)
}

/// Of which pair how many programs are among the best.
async fn wanted(s: &mut MySession, request: &ClaimRequest, pairs: &[Pair]) -> Outcome<Vec<usize>> {
    if let [pair] = pairs {
        return Ok(vec![pair.most]);
    }
    let best = s
        .rows::<(BigInt, BigInt, BigInt), (i64, i64, i64)>(best(request, pairs))
        .await?;
    // The room of a job is one for all queues.
    let mut wanted = vec![0; pairs.len()];
    let mut slots = request.slots;
    let mut free: Vec<usize> = request.shares.iter().map(|share| share.slots).collect();
    for (at, _, _) in best {
        let Some((at, pair)) = usize::try_from(at)
            .ok()
            .and_then(|at| Some((at, pairs.get(at)?)))
        else {
            continue;
        };
        let of_job = pairs.iter().zip(&wanted).filter(|(p, _)| p.job == pair.job);
        let of_job: usize = of_job.map(|(_, number)| number).sum();
        let of_share = &mut free[pair.share];
        if of_job < pair.room && *of_share > 0 && slots > 0 {
            *of_share -= 1;
            wanted[at] += 1;
            slots -= 1;
        }
    }
    Ok(wanted)
}

/// How many crashes a program must not have.
fn crashes(request: &ClaimRequest) -> i64 {
    match request.suspects {
        0 => i64::from(request.suspect_from()),
        _ => i64::MAX,
    }
}

/// The best of several pairs, in their order: their pairs' places.
pub(super) fn best(request: &ClaimRequest, pairs: &[Pair]) -> Statement<'static> {
    let one = |at: usize| {
        format!(
            "(SELECT {at} AS place, wake_at AS at, id FROM {{t}} FORCE INDEX ({{name wake}})
              WHERE wake_queue = ? AND wake_job = ? AND wake_at >= ? AND crashes < ?
              ORDER BY wake_at, id LIMIT ?)"
        )
    };
    let all: Vec<String> = (0..pairs.len()).map(one).collect();
    let text = all.join(" UNION ALL ") + " ORDER BY at, id";
    pairs.iter().fold(composed(text), |statement, pair| {
        statement
            .text(pair.queue.clone())
            .text(pair.job.clone())
            .int(pair.from)
            .int(crashes(request))
            .int(number(pair.most))
    })
}

/// Locks the best of one pair.
pub(super) fn lock(request: &ClaimRequest, pair: &Pair, most: usize) -> Statement<'static> {
    const LOCK: &str = "
        SELECT wake_at, id, crashes FROM {t} FORCE INDEX ({name wake})
        WHERE wake_queue = ? AND wake_job = ? AND wake_at >= ? AND crashes < ?
        ORDER BY wake_at, id LIMIT ? FOR UPDATE SKIP LOCKED";
    sql(LOCK)
        .text(pair.queue.clone())
        .text(pair.job.clone())
        .int(pair.from)
        .int(crashes(request))
        .int(number(most))
}

async fn take(
    s: &mut MySession,
    request: &ClaimRequest,
    pairs: &[Pair],
    claimed: &mut Claimed,
) -> Outcome<()> {
    let wanted = wanted(s, request, pairs).await?;
    let mut locked = Vec::new();
    for (pair, most) in (0..).zip(&wanted).filter(|(_, most)| **most > 0) {
        let lock = lock(request, &pairs[pair], *most);
        let rows = s
            .rows::<(BigInt, BigInt, BigInt), (i64, i64, i64)>(lock)
            .await?;
        locked.extend(rows.into_iter().map(|(order_key, id, crashes)| Locked {
            order_key,
            id,
            suspect: crashes >= i64::from(request.suspect_from()),
            pair,
        }));
    }
    locked.sort_unstable_by_key(|row| (row.order_key, row.id));
    let all: usize = wanted.iter().sum();
    // Of a single pair nobody has counted before how many there are, but that there are some.
    claimed.contended = locked.len() < all && (pairs.len() > 1 || locked.is_empty());
    let mut suspects = request.suspects;
    let locked_all = locked.len();
    locked.retain(|row| {
        let taken = !row.suspect || suspects > 0;
        suspects -= usize::from(row.suspect && taken);
        taken
    });
    claimed.programs = read(s, request, pairs, &locked, &mut claimed.floors).await?;
    let taken = claimed.programs.len();
    if taken > 0 {
        // Numbers and an identity of ours: nothing in it is from outside.
        let ids = claimed
            .programs
            .iter()
            .map(|program| program.fence.id.to_string());
        let claim = format!(
            "UPDATE {{t}} FORCE INDEX (PRIMARY) SET token = token + 1, rev = rev + 1, ready = 0,
               lease_until = {{now_ms}} + {}, worker = '{}'
             WHERE id IN ({});",
            millis(request.lease),
            request.worker,
            ids.collect::<Vec<_>>().join(",")
        );
        s.last_script(claim).await?;
        for program in &mut claimed.programs {
            program.fence.token += 1;
            program.fence.rev += 1;
        }
    }
    claimed.more = taken < locked_all || claimed.contended || taken == request.slots;
    claimed.again = request.is_divided() && (taken < locked_all || taken == request.slots);
    Ok(())
}
