//! Programs that wait until there is room under a limit with a key.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Candidate, MOST, SOON, list, standing::standings};
use crate::store::{
    LimitedJob,
    sql::{
        Outcome, Session, number, rows,
        statement::{Statement, composed, sql},
    },
};

/// Takes programs out of the claims' way, until there is room for them.
pub(super) async fn park<S: Session>(s: &mut S, programs: &[Candidate]) -> Outcome<()> {
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

/// The limits at which it is time to look, of the jobs that this worker knows.
pub(super) async fn due<S: Session>(
    s: &mut S,
    jobs: &[LimitedJob],
) -> Outcome<BTreeMap<String, LimitedJob>> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        job: String,
    }
    let Some((places, names)) = keyed(jobs) else {
        return Ok(BTreeMap::new());
    };
    let due = composed(format!(
        "SELECT {{object}}('name', name, 'job', job) FROM {{table limits}}
         WHERE recheck_at <= {{now_ms}} AND job IN ({places}) ORDER BY recheck_at LIMIT ?"
    ));
    let due = names.into_iter().fold(due, Statement::text);
    let due = rows::<_, Row>(s, due.int(number(MOST))).await?;
    let known = due.into_iter().filter_map(|row| {
        let job = jobs.iter().find(|job| job.name == row.job)?;
        Some((row.name, *job))
    });
    Ok(known.collect())
}

/// When the next limit is to be looked at, in milliseconds.
pub(super) async fn next_recheck<S: Session>(
    s: &mut S,
    jobs: &[LimitedJob],
) -> Outcome<Option<i64>> {
    let Some((places, names)) = keyed(jobs) else {
        return Ok(None);
    };
    let next = composed(format!(
        "SELECT CAST(recheck_at AS {{text}}) FROM {{table limits}}
         WHERE recheck_at IS NOT NULL AND job IN ({places}) ORDER BY recheck_at LIMIT 1"
    ));
    let next = s
        .texts(names.into_iter().fold(next, Statement::text))
        .await?;
    Ok(next.first().and_then(|next| next.parse().ok()))
}

/// The jobs whose limits have a key, as the places of a list and its values.
fn keyed(jobs: &[LimitedJob]) -> Option<(String, Vec<&'static str>)> {
    let keyed = jobs.iter().filter(|job| job.limit.key.is_some());
    let names: Vec<_> = keyed.map(|job| job.name).collect();
    (!names.is_empty()).then(|| list(names, ""))
}

/// Brings back as many of the parked programs as there is room for, and clears away limits that
/// nothing is to be known of any more.
pub(super) async fn recheck<S: Session>(
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
