//! What is done to all programs that match, in batches.
//!
//! A batch is sought without a lock, however long the way to it is. Its rows are then kept from others,
//! without those that somebody holds, all conditions are looked at once more, and one statement changes
//! all that take the same arrow.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Flag, Outcome, Session,
    control::{CANCEL, RETRY, errored},
    filter::{Conditions, among},
    number, rows,
    statement::{Statement, composed},
};
use crate::{
    json,
    store::{Batch, Bulk, BulkVerb},
};

/// The next programs that match.
pub(in crate::store) struct Sought {
    /// The last row that was looked at; `None`: there are no more.
    pub(in crate::store) floor: Option<i64>,
    pub(in crate::store) ids: Vec<i64>,
}

/// A program as a batch finds it.
#[derive(Deserialize)]
struct Found {
    id: i64,
    attributes: String,
}

/// A program as a retry needs it.
#[derive(Deserialize)]
struct ToRetry {
    id: i64,
    run_id: String,
    attributes: String,
    keyed: Flag,
    step: usize,
    jobs: String,
    /// When a body that may still run has ended, or can do no more harm.
    busy_until: Option<i64>,
    now: i64,
}

const FOUND: &str = "
    SELECT {object}('id', id, 'attributes', CAST(attributes AS {text})) FROM {t}{by_key} WHERE id > ?";

/// The programs that the verb is for.
fn is_for(verb: BulkVerb) -> &'static str {
    match verb {
        BulkVerb::Cancel => " AND finished_at IS NULL AND errored_at IS NULL",
        BulkVerb::Retry => concat!(" AND ", errored!()),
        BulkVerb::Delete => "",
    }
}

/// The conditions of a verb, behind what begins a statement.
fn matching<'a>(bulk: &'a Bulk, before: &str, after: &str) -> Statement<'a> {
    let before = format!("{before}{}", is_for(bulk.verb));
    Conditions::of(&bulk.filter).statement(&before, after)
}

/// The next rows behind the floor that match, by their key: the walk goes over the table once, whatever
/// the filter is.
pub(in crate::store) async fn seek<S: Session>(
    s: &mut S,
    bulk: &Bulk,
    floor: i64,
    limit: usize,
) -> Outcome<Sought> {
    // The floor's place is before those of the conditions.
    let conditions = matching(bulk, FOUND, " ORDER BY id LIMIT ?");
    let statement = conditions.first(floor).int(number(limit));
    let found = rows::<_, Found>(s, statement).await?;
    let floor = found.last().map(|row| row.id);
    let fit = found
        .into_iter()
        .filter(|row| bulk.filter.fits(&row.attributes));
    Ok(Sought {
        floor,
        ids: fit.map(|row| row.id).collect(),
    })
}

/// How many match.
pub(in crate::store) async fn count<S: Session>(s: &mut S, bulk: &Bulk) -> Outcome<usize> {
    const COUNT: &str = "SELECT {object}('number', COUNT(*)) FROM {t} WHERE id > ?";
    const PAGE: usize = 10_000;
    #[derive(Deserialize)]
    struct Count {
        number: usize,
    }
    let most = bulk.filter.limit.unwrap_or(usize::MAX);
    if bulk.filter.attributes.is_empty() {
        let counted = rows::<_, Count>(s, matching(bulk, COUNT, "").first(i64::MIN)).await?;
        return Ok(counted.first().map_or(0, |row| row.number).min(most));
    }
    let (mut counted, mut floor) = (0, Some(i64::MIN));
    while let Some(from) = floor {
        let sought = seek(s, bulk, from, PAGE).await?;
        counted += sought.ids.len();
        floor = sought.floor.filter(|_| counted < most);
    }
    Ok(counted.min(most))
}

/// Does it to those of these programs that still match, and that nobody holds.
pub(in crate::store) async fn apply<S: Session>(
    s: &mut S,
    bulk: &Bulk,
    ids: &[i64],
) -> Outcome<Batch> {
    match bulk.verb {
        BulkVerb::Retry => retry(s, bulk, ids).await,
        BulkVerb::Cancel => {
            let ids = kept(s, bulk, ids).await?;
            all(s, &ids, CANCEL, |statement| statement.text("cancelled")).await
        }
        BulkVerb::Delete => {
            let ids = kept(s, bulk, ids).await?;
            all(s, &ids, "{delete} WHERE 1 = 1", |statement| statement).await
        }
    }
}

/// Those of them that still match, kept from others till the transaction ends.
async fn kept<S: Session>(s: &mut S, bulk: &Bulk, ids: &[i64]) -> Outcome<Vec<i64>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (places, ids) = among(ids);
    let statement = matching(bulk, FOUND, &format!("{places} ORDER BY id{{unlocked}}"));
    let statement = ids.fold(statement.first(i64::MIN), Statement::int);
    let found = rows::<_, Found>(s, statement).await?;
    let fit = found
        .into_iter()
        .filter(|row| bulk.filter.fits(&row.attributes));
    Ok(fit.map(|row| row.id).collect())
}

/// One statement for all of these rows; how many it changed.
async fn all<'a, S: Session>(
    s: &mut S,
    ids: &[i64],
    template: &str,
    values: impl FnOnce(Statement<'a>) -> Statement<'a>,
) -> Outcome<Batch> {
    if ids.is_empty() {
        return Ok(Batch::default());
    }
    let (places, ids) = among(ids);
    let statement = values(composed(format!("{template}{places}")));
    let done = s.run(ids.fold(statement, Statement::int)).await?;
    Ok(Batch {
        done,
        ..Batch::default()
    })
}

async fn retry<S: Session>(s: &mut S, bulk: &Bulk, ids: &[i64]) -> Outcome<Batch> {
    const TO_RETRY: &str = "
        SELECT {object}('id', id, 'run_id', run_id, 'attributes', CAST(attributes AS {text}),
          'keyed', unique_key IS NOT NULL, 'step', {step},
          'jobs', CAST(jobs AS {text}), 'busy_until',
          {greatest}(COALESCE(lease_until, busy_until), COALESCE(busy_until, lease_until)),
          'now', {now_ms})
        FROM {t}{by_key} WHERE id > ?";
    let mut batch = Batch::default();
    if ids.is_empty() {
        return Ok(batch);
    }
    let (places, ids) = among(ids);
    let statement = matching(bulk, TO_RETRY, &format!("{places} ORDER BY id{{unlocked}}"));
    let statement = ids.fold(statement.first(i64::MIN), Statement::int);
    // All that go on with the same job at the same time take the same arrow.
    let mut arrows = BTreeMap::<(Option<String>, i64, bool), Vec<i64>>::new();
    for row in rows::<_, ToRetry>(s, statement).await? {
        if !bulk.filter.fits(&row.attributes) {
            continue;
        }
        if row.keyed.0 {
            batch.one_by_one.push(row.run_id.into());
            continue;
        }
        let Ok(mut jobs) = json::read::<Vec<String>>(&row.jobs) else {
            // Somebody has spoilt it by hand.
            batch.refused += 1;
            continue;
        };
        let job = (row.step < jobs.len()).then(|| jobs.swap_remove(row.step));
        let due = row.busy_until.map_or(row.now, |busy| busy.max(row.now));
        let arrow = arrows.entry((job, due, due <= row.now));
        arrow.or_default().push(row.id);
    }
    for ((job, due, ready), ids) in arrows {
        let values = |statement: Statement<'static>| {
            statement
                .int(i64::from(job.is_none()))
                .maybe_text(job)
                .int(i64::from(ready))
                .int(due)
                .int(due)
        };
        batch.done += all(s, &ids, RETRY, values).await?.done;
    }
    Ok(batch)
}
