//! What people and other systems do to a program.

use std::time::Duration;

use serde::Deserialize;

use super::{
    Flag, Outcome, Session, conflict,
    create::holder,
    invalid, millis, rows,
    statement::{composed, sql},
    waits,
};
use crate::{json, run_id::RunId, time::Timestamp};

/// The end of a claim that is taken away from outside. How long its body may still run is kept, so
/// that no second body of the step starts before (SEMANTICS §3.2). Where nobody has a claim, the token
/// stays: by it the end of the body is known whose claim was taken away before. One whose lease ran out
/// has its claim as long as the worker's name is there.
macro_rules! take_away {
    () => {
        "token = token + CASE WHEN worker IS NULL THEN 0 ELSE 1 END, rev = rev + 1, busy_until =
           {greatest}(COALESCE(lease_until, busy_until), COALESCE(busy_until, lease_until)),
         lease_until = NULL, worker = NULL"
    };
}
pub(super) use take_away;

/// Where another system has brought it on, the step of the store's own goes on from there. Nothing that it
/// is read from may be set before.
macro_rules! kept_step {
    () => {
        "cur_step = CASE WHEN cur_step IS NOT NULL THEN {step} END"
    };
}

/// A program as these verbs need it.
#[derive(Deserialize)]
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) step: usize,
    #[serde(rename = "jobs")]
    jobs_text: String,
    #[serde(skip)]
    pub(super) jobs: Vec<String>,
    pub(super) outputs: String,
    pub(super) token: i64,
    pub(super) priority: i64,
    lease_until: Option<i64>,
    /// When a body that may still run has ended, or can do no more harm.
    busy_until: Option<i64>,
    finished: Flag,
    errored: Flag,
    waiting: Option<String>,
    /// The output of a report that came while the job ran.
    pub(super) completion: Option<String>,
    unique_key: Option<String>,
    now: i64,
}

impl Found {
    /// The job after the current one.
    pub(super) fn next(&self) -> Option<&str> {
        self.jobs.get(self.step + 1).map(String::as_str)
    }

    pub(super) fn leased(&self) -> bool {
        self.lease_until.is_some()
    }

    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    pub(super) fn ended(&self) -> Option<&'static str> {
        if self.errored.0 {
            Some("has ended as errored")
        } else if self.finished.0 {
            Some("has finished")
        } else {
            None
        }
    }

    /// This time, or when the body that may still run has ended.
    fn not_before_the_body(&self, at: i64) -> i64 {
        self.busy_until.map_or(at, |busy| busy.max(at))
    }

    fn order_key(&self, at: i64) -> i64 {
        at.saturating_add(self.priority.saturating_mul(60_000))
    }
}

/// The program, kept from others till the transaction ends.
pub(super) async fn find<S: Session>(s: &mut S, run_id: &RunId) -> Outcome<Option<Found>> {
    const FIND: &str = "
        SELECT {object}('id', id, 'step', {step}, 'jobs', CAST(jobs AS {text}),
          'outputs', CAST(outputs AS {text}), 'token', token, 'priority', priority,
          'lease_until', lease_until, 'busy_until',
          {greatest}(COALESCE(lease_until, busy_until), COALESCE(busy_until, lease_until)),
          'finished', finished_at IS NOT NULL, 'errored', errored_at IS NOT NULL,
          'waiting', waiting, 'completion', completion, 'unique_key', unique_key,
          'now', {now_ms})
        FROM {t} WHERE run_id = ? ORDER BY id LIMIT 1{locked}";
    let found = rows::<_, Found>(s, sql(FIND).text(run_id.as_str())).await?;
    let Some(mut found) = found.into_iter().next() else {
        return Ok(None);
    };
    found.jobs =
        json::read(&found.jobs_text).map_err(|e| invalid(format!("jobs of {run_id}: {e}")))?;
    Ok(Some(found))
}

/// A running job keeps its lease: it is cancelled at the next heartbeat, and gives it back. The rows are
/// named behind it.
pub(in crate::store) const CANCEL: &str = "
    UPDATE {t}{by_key} SET errored_at = {now}, error_message = ?, updated_at = {now}
    WHERE finished_at IS NULL AND errored_at IS NULL";

/// That a program is errored, for statements that name it by its key: written so that a planner who thinks
/// that there are few does not go through all of them.
macro_rules! errored {
    () => {
        "COALESCE(errored_at, errored_at) IS NOT NULL"
    };
}
pub(super) use errored;

/// From the failed step on, with its retries counted anew (SEMANTICS §3.2). The rows are named behind it,
/// and no other index than the key comes into question to find them.
pub(in crate::store) const RETRY: &str = concat!(
    "UPDATE {t}{by_key} SET errored_at = NULL, ",
    kept_step!(),
    ", finished_at = CASE WHEN ? = 1 THEN {now} END,
      step_retry_count = 0, crashes = 0, completion = NULL, waiting = NULL, job = ?,
      ready = ?, available_at = ?, order_key = ? + priority * 60000, ",
    take_away!(),
    ", updated_at = {now} WHERE ",
    errored!()
);

const THIS: &str = " AND id = ?";

pub(in crate::store) async fn cancel<S: Session>(
    s: &mut S,
    run_id: &RunId,
    message: &str,
) -> Outcome<bool> {
    let Some(found) = find(s, run_id).await? else {
        return Ok(false);
    };
    if let Some(ended) = found.ended() {
        return Err(conflict(format!(
            "program {run_id} {ended}: there is nothing to cancel"
        )));
    }
    let statement = composed(format!("{CANCEL}{THIS}"));
    s.run(statement.text(message).int(found.id)).await?;
    waits::child_ended(s, run_id).await?;
    Ok(true)
}

pub(in crate::store) async fn retry<S: Session>(s: &mut S, run_id: &RunId) -> Outcome<bool> {
    let Some(found) = find(s, run_id).await? else {
        return Ok(false);
    };
    if !found.errored.0 {
        return Err(conflict(format!(
            "program {run_id} {}: only an errored program can be retried",
            if found.finished.0 {
                "has finished"
            } else {
                "has not ended"
            }
        )));
    }
    if let Some(key) = &found.unique_key
        && let Some(holder) = holder(s, key).await?
    {
        return Err(conflict(format!(
            "program {holder} has the unique key {key:?} now: cancel it first, or leave \
             {run_id} as it is"
        )));
    }
    let job = found.jobs.get(found.step);
    // A body that may still run under the old claim is given until its lease ends.
    let due = found.not_before_the_body(found.now);
    let statement = composed(format!("{RETRY}{THIS}"))
        .int(i64::from(job.is_none()))
        .maybe_text(job)
        .int(i64::from(due <= found.now))
        .int(due)
        .int(due)
        .int(found.id);
    s.run(statement).await?;
    Ok(true)
}

pub(in crate::store) async fn delete<S: Session>(s: &mut S, run_id: &RunId) -> Outcome<bool> {
    const DELETE: &str = "DELETE FROM {t} WHERE run_id = ?";
    let deleted = s.run(sql(DELETE).text(run_id.as_str())).await? > 0;
    waits::child_ended(s, run_id).await?;
    Ok(deleted)
}

pub(in crate::store) async fn reschedule<S: Session>(
    s: &mut S,
    run_id: &RunId,
    at: Timestamp,
) -> Outcome<bool> {
    const RESCHEDULE: &str = concat!(
        "UPDATE {t} SET ",
        kept_step!(),
        ", waiting = NULL, job = ?, ready = ?, available_at = ?, order_key = ?, ",
        take_away!(),
        ", updated_at = {now} WHERE id = ?"
    );
    let Some(found) = find(s, run_id).await? else {
        return Ok(false);
    };
    if let Some(ended) = found.ended() {
        return Err(conflict(format!("program {run_id} {ended}")));
    }
    // Where a body runs under the old claim, not before its lease has ended.
    let at = found.not_before_the_body(at.as_millis());
    let statement = sql(RESCHEDULE)
        .maybe_text(found.jobs.get(found.step))
        .int(i64::from(at <= found.now))
        .int(at)
        .int(found.order_key(at))
        .int(found.id);
    s.run(statement).await?;
    Ok(true)
}

pub(in crate::store) async fn set_attributes<S: Session>(
    s: &mut S,
    run_id: &RunId,
    fields: &str,
) -> Outcome<bool> {
    const READ: &str = "
        SELECT {object}('id', id, 'attributes', CAST(attributes AS {text}))
        FROM {t} WHERE run_id = ? ORDER BY id LIMIT 1{locked}";
    const SET: &str = "UPDATE {t} SET attributes = {json}, updated_at = {now} WHERE id = ?";
    #[derive(Deserialize)]
    struct Found {
        id: i64,
        attributes: String,
    }
    let found = rows::<_, Found>(s, sql(READ).text(run_id.as_str())).await?;
    let Some(found) = found.into_iter().next() else {
        return Ok(false);
    };
    let refused = |e: json::DataError| invalid(format!("attributes: {e}"));
    let mut all = json::read_map(&found.attributes).map_err(refused)?;
    all.extend(json::read_map(fields).map_err(refused)?);
    s.run(sql(SET).text(json::map_text(&all)).int(found.id))
        .await?;
    Ok(true)
}

pub(in crate::store) async fn set_retry_after<S: Session>(
    s: &mut S,
    run_id: &RunId,
    delay: Option<Duration>,
) -> Outcome<bool> {
    // A program that waits already counts the new time from now on.
    const SET: &str = "
        UPDATE {t} SET retry_after = ?,
          available_at = CASE WHEN waiting = 'hand_off' THEN {now_ms} + ? ELSE available_at END,
          updated_at = {now}
        WHERE run_id = ?";
    let delay = delay.map(millis);
    let statement = sql(SET).int(delay).int(delay).text(run_id.as_str());
    Ok(s.run(statement).await? > 0)
}

pub(in crate::store) async fn set_paused<S: Session>(
    s: &mut S,
    queue: &str,
    paused: bool,
) -> Outcome<bool> {
    const FOUND: &str = "SELECT name FROM {table queues} WHERE name = ?";
    const PAUSE: &str = "INSERT INTO {table queues} (name, paused_at) VALUES (?, {now_ms})";
    const PAUSE_AGAIN: &str = "
        UPDATE {table queues} SET paused_at = {now_ms} WHERE name = ? AND paused_at IS NULL";
    const RESUME: &str = "DELETE FROM {table queues} WHERE name = ? AND paused_at IS NOT NULL";
    let statement = if !paused {
        sql(RESUME)
    } else if s.texts(sql(FOUND).text(queue)).await?.is_empty() {
        sql(PAUSE)
    } else {
        sql(PAUSE_AGAIN)
    };
    Ok(s.run(statement.text(queue)).await? > 0)
}
