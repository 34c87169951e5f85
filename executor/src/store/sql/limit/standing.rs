//! What is known of a limit by those who have locked its row.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::list;
use crate::{
    job::GlobalLimit,
    store::{
        LimitedJob,
        sql::{
            Outcome, Session, rows,
            statement::{Statement, composed, sql},
        },
    },
};

/// What is known of a limit under its lock.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) limit: GlobalLimit,
    /// Microseconds.
    pub(super) spent_until: i64,
    pub(super) held: i64,
    /// When the first place ends by itself, in milliseconds.
    pub(super) first_end: Option<i64>,
    /// How many may start now.
    pub(super) free: i64,
    pub(super) taken: i64,
    pub(super) parked: bool,
}

impl Standing {
    /// From when on nothing is to be known of the rate, in milliseconds.
    pub(super) fn unspent_at(&self) -> i64 {
        self.spent_until.div_euclid(1000) + 1
    }

    /// When to look again where nothing more may start: all that stands in the way must have gone.
    pub(super) fn next(&self, now: i64, until: i64) -> i64 {
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

/// Locks the limits of these names, and counts what is free under each.
pub(super) async fn standings<S: Session>(
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
    let names = standings.keys().cloned().collect();
    let (places, names) = list(names, String::new());
    let held = composed(format!(
        "SELECT {{object}}('name', name, 'held', COUNT(*), 'first_end', MIN(held_until))
         FROM {{table holds}} WHERE name IN ({places}) AND held_until > {{now_ms}} GROUP BY name"
    ));
    let held = names.into_iter().fold(held, Statement::text);
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
pub(super) async fn note<S: Session>(
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
