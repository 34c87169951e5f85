//! New programs as the columns hold them.

use serde::Deserialize;

use super::{
    Flag, Outcome, Session,
    control::take_away,
    filter::places,
    millis, number, query, rows,
    statement::{composed, sql},
};
use crate::{
    config::DEFAULT_QUEUE,
    program::Start,
    run_id::RunId,
    store::{Created, NewProgram},
};

/// A program as the columns hold it. A time is absolute, or counts from the database's now.
pub(in crate::store) struct Row<'a> {
    pub(in crate::store) run_id: &'a str,
    pub(in crate::store) name: Option<&'a str>,
    pub(in crate::store) queue: &'a str,
    pub(in crate::store) jobs: String,
    pub(in crate::store) job: &'a str,
    pub(in crate::store) program_data: &'a str,
    pub(in crate::store) job_data: &'a str,
    pub(in crate::store) attributes: &'a str,
    pub(in crate::store) priority: i64,
    pub(in crate::store) at: Option<i64>,
    pub(in crate::store) after: i64,
    pub(in crate::store) unique_key: Option<&'a str>,
    pub(in crate::store) retry_after: Option<i64>,
    pub(in crate::store) parent: Option<&'a str>,
}

pub(in crate::store) fn row(new: &NewProgram) -> Row<'_> {
    let program = &new.program;
    let options = &program.options;
    let (at, after) = match options.start {
        Start::Now => (None, 0),
        Start::At(time) => (Some(time.as_millis()), 0),
        Start::After(delay) => (None, millis(delay)),
    };
    Row {
        run_id: new.run_id.as_str(),
        name: options.name.as_deref(),
        queue: options.queue.as_deref().unwrap_or(DEFAULT_QUEUE),
        // A list of strings: nothing can fail.
        jobs: serde_json::to_string(&program.jobs).unwrap_or_default(),
        job: &program.jobs[0],
        program_data: &program.program_data,
        job_data: &program.job_data,
        attributes: &program.attributes,
        priority: i64::from(options.priority),
        at,
        after,
        unique_key: options.unique_key.as_deref(),
        retry_after: options.retry_after.map(millis),
        parent: new.parent.as_ref().map(RunId::as_str),
    }
}

/// The unfinished program that has the key.
pub(in crate::store) async fn holder<S: Session>(s: &mut S, key: &str) -> Outcome<Option<RunId>> {
    const HOLDER: &str = "SELECT run_id FROM {t} WHERE {holds}";
    let found = s.texts(sql(HOLDER).text(key)).await?;
    Ok(found.into_iter().next().map(RunId::from))
}

/// Keeps the key of which only one program is created within a time. `Some`: another one has it, or the
/// program was stored before (which can be if `again`), and nothing is to be stored.
///
/// A creator that comes at the same time waits here until this one's transaction has ended.
pub(in crate::store) async fn reserve<S: Session>(
    s: &mut S,
    new: &NewProgram,
    again: bool,
) -> Outcome<Option<Created>> {
    const HOLDER: &str = "SELECT run_id FROM {table unique} WHERE unique_key = ?{locked}";
    let Some(unique_for) = &new.program.options.unique_for else {
        return Ok(None);
    };
    if again && query::get(s, &new.run_id).await?.is_some() {
        return Ok(Some(Created::anew(new.run_id.clone())));
    }
    let reserve = sql("{reserve}")
        .text(&*unique_for.key)
        .text(new.run_id.as_str());
    s.run(reserve.int(millis(unique_for.period))).await?;
    let holder = s.texts(sql(HOLDER).text(&*unique_for.key)).await?;
    let other = holder
        .into_iter()
        .find(|run_id| run_id != new.run_id.as_str());
    Ok(other.map(|run_id| Created::there(run_id.into())))
}

/// Forgets keys whose time is over, those that nobody holds.
pub(in crate::store) async fn clear_unique<S: Session>(s: &mut S, limit: usize) -> Outcome<usize> {
    const PAST: &str = "
        SELECT CAST(unique_key AS {text}) FROM {table unique} WHERE held_until <= {now_ms}
        ORDER BY held_until LIMIT ?{unlocked}";
    let past = s.texts(sql(PAST).int(number(limit))).await?;
    let Some(last) = past.last() else {
        return Ok(0);
    };
    let places = places(past.len());
    let padding = std::iter::repeat_n(last, places.len() - past.len());
    let clear = composed(format!(
        "DELETE FROM {{table unique}} WHERE unique_key IN ({})",
        places.join(", ")
    ));
    let keys = past.iter().chain(padding);
    s.run(keys.fold(clear, |clear, key| clear.text(key))).await
}

/// The program that has the unique key, as one that comes to take its place finds it.
#[derive(Deserialize)]
struct Holder {
    id: i64,
    run_id: String,
    begun: Flag,
    /// When a body that may still run under a claim that was taken away has ended.
    busy_until: Option<i64>,
    now: i64,
}

/// What stands for a program whose unique key is taken: its holder, which takes the new data if it
/// waits and that is wanted. `None`: nobody has the key any more.
pub(in crate::store) async fn stand_in<S: Session>(
    s: &mut S,
    new: &NewProgram,
) -> Outcome<Option<Created>> {
    const HOLDER: &str = "
        SELECT {object}('id', id, 'run_id', run_id, 'begun', {step} > 0
            OR lease_until IS NOT NULL OR waiting IS NOT NULL,
          'busy_until', busy_until, 'now', {now_ms})
        FROM {t} WHERE {holds}{locked}";
    // How many children were stored with saved progress is kept: the next ones need other run ids.
    // A worker whose lease has run out may still be at it, and what it does is for the old data.
    const REPLACE: &str = concat!(
        "UPDATE {t} SET name = ?, queue = ?, jobs = {json}, job = ?, program_data = {json},
          job_data = {json}, attributes = {json}, priority = ?, retry_after = ?,
          step_retry_count = 0, crashes = 0, completion = NULL, ready = ?, available_at = ?,
          order_key = ?, ",
        take_away!(),
        ", updated_at = {now} WHERE id = ?"
    );
    let row = row(new);
    let Some(key) = row.unique_key else {
        return Ok(None);
    };
    if !new.program.options.replace {
        return Ok(holder(s, key).await?.map(Created::there));
    }
    let Some(found) = rows::<_, Holder>(s, sql(HOLDER).text(key)).await?.pop() else {
        return Ok(None);
    };
    let replaced = !found.begun.0;
    if replaced {
        let at = row.at.unwrap_or(found.now.saturating_add(row.after));
        let at = found.busy_until.map_or(at, |busy| busy.max(at));
        let statement = sql(REPLACE)
            .maybe_text(row.name)
            .text(row.queue)
            .text(&row.jobs)
            .text(row.job)
            .text(row.program_data)
            .text(row.job_data)
            .text(row.attributes)
            .int(row.priority)
            .int(row.retry_after)
            .int(i64::from(at <= found.now))
            .int(at)
            .int(at.saturating_add(row.priority.saturating_mul(60_000)))
            .int(found.id);
        s.run(statement).await?;
    }
    Ok(Some(Created {
        replaced,
        ..Created::there(found.run_id.into())
    }))
}
