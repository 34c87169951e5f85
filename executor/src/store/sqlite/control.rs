//! What people and other systems do to a program.

use std::time::Duration;

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{Failure, Outcome, Session, conflict, create::order_key, millis};
use crate::{
    error::{Error, ErrorKind},
    json,
    run_id::RunId,
    time::Timestamp,
};

/// A program as these verbs need it.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) step: usize,
    pub(super) jobs: Vec<String>,
    pub(super) outputs: String,
    pub(super) token: i64,
    pub(super) priority: i64,
    pub(super) lease_until: Option<i64>,
    /// When a body that may still run has ended, or can do no more harm.
    pub(super) busy_until: Option<i64>,
    pub(super) finished: bool,
    pub(super) errored: bool,
    pub(super) waiting: bool,
    pub(super) unique_key: Option<String>,
}

impl Found {
    /// The job after the current one.
    pub(super) fn next(&self) -> Option<&str> {
        self.jobs.get(self.step + 1).map(String::as_str)
    }

    pub(super) fn leased(&self) -> bool {
        self.lease_until.is_some()
    }

    pub(super) fn ended(&self) -> Option<&'static str> {
        if self.errored {
            Some("has ended as errored")
        } else if self.finished {
            Some("has finished")
        } else {
            None
        }
    }
}

pub(super) fn find(s: &mut Session<'_>, run_id: &RunId) -> Outcome<Option<Found>> {
    const FIND: &str = r#"
        SELECT id, COALESCE(step, 0), jobs, outputs, token, priority, lease_until,
          MAX(COALESCE(lease_until, busy_until), COALESCE(busy_until, lease_until)),
          finished_at IS NOT NULL, errored_at IS NOT NULL, waiting IS NOT NULL, unique_key
        FROM "{t}" WHERE run_id = ? ORDER BY id LIMIT 1"#;
    type Sql = (
        BigInt,
        BigInt,
        Text,
        Text,
        BigInt,
        BigInt,
        Nullable<BigInt>,
        Nullable<BigInt>,
        BigInt,
        BigInt,
        BigInt,
        Nullable<Text>,
    );
    type Row = (
        i64,
        i64,
        String,
        String,
        i64,
        i64,
        Option<i64>,
        Option<i64>,
        i64,
        i64,
        i64,
        Option<String>,
    );
    let rows = s
        .tables
        .statement(FIND)
        .text(run_id.as_str())
        .rows::<Sql, Row, _>(s.conn)?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let (
        id,
        step,
        jobs,
        outputs,
        token,
        priority,
        lease_until,
        busy_until,
        finished,
        errored,
        waiting,
        key,
    ) = row;
    Ok(Some(Found {
        id,
        step: usize::try_from(step).unwrap_or(0),
        jobs: json::read(&jobs).map_err(|e| {
            Failure::Ours(Error::new(
                ErrorKind::InvalidData,
                format!("jobs of {run_id}: {e}"),
            ))
        })?,
        outputs,
        token,
        priority,
        lease_until,
        busy_until,
        finished: finished != 0,
        errored: errored != 0,
        waiting: waiting != 0,
        unique_key: key,
    }))
}

pub(super) fn cancel(s: &mut Session<'_>, run_id: &RunId, message: &str) -> Outcome<bool> {
    // A running job keeps its lease: it is cancelled at the next heartbeat, and gives it back.
    const CANCEL: &str = r#"
        UPDATE "{t}" SET errored_at = ?, error_message = ?, updated_at = ? WHERE id = ?"#;
    let Some(found) = find(s, run_id)? else {
        return Ok(false);
    };
    if let Some(ended) = found.ended() {
        return Err(conflict(format!(
            "program {run_id} {ended}: there is nothing to cancel"
        )));
    }
    let text = s.now.text.clone();
    let statement = s
        .tables
        .statement(CANCEL)
        .text(&text)
        .text(message)
        .text(&text);
    statement.int(found.id).run(s.conn)?;
    Ok(true)
}

/// From the failed step on, with its retries counted anew (SEMANTICS §3.2).
pub(super) fn retry(s: &mut Session<'_>, run_id: &RunId) -> Outcome<bool> {
    const HOLDER: &str = r#"
        SELECT run_id FROM "{t}"
        WHERE unique_key = ? AND finished_at IS NULL AND errored_at IS NULL"#;
    const RETRY: &str = concat!(
        r#"
        UPDATE "{t}" SET errored_at = NULL, finished_at = ?, token = token + 1, rev = rev + 1,
          step_retry_count = 0, crashes = 0, completion = NULL, waiting = NULL, job = ?,
          ready = ?, available_at = ?, order_key = ?, "#,
        take_away!(),
        r#",
          updated_at = ?
        WHERE id = ?"#
    );
    let Some(found) = find(s, run_id)? else {
        return Ok(false);
    };
    if !found.errored {
        return Err(conflict(format!(
            "program {run_id} {}: only an errored program can be retried",
            if found.finished {
                "has finished"
            } else {
                "has not ended"
            }
        )));
    }
    if let Some(key) = &found.unique_key {
        let holder = s
            .tables
            .statement(HOLDER)
            .text(key)
            .rows::<Text, String, _>(s.conn)?;
        if let Some(holder) = holder.first() {
            return Err(conflict(format!(
                "program {holder} has the unique key {key:?} now: cancel it first, or leave \
                 {run_id} as it is"
            )));
        }
    }
    let now = s.now.clone();
    let job = found.jobs.get(found.step);
    // A body that may still run under the old claim is given until its lease ends.
    let due = found
        .busy_until
        .map_or(now.millis, |busy| busy.max(now.millis));
    s.tables
        .statement(RETRY)
        .maybe_text(job.is_none().then(|| now.text.clone()))
        .maybe_text(job.cloned())
        .int(i64::from(due <= now.millis))
        .int(due)
        .int(order_key(due, found.priority))
        .text(&now.text)
        .int(found.id)
        .run(s.conn)?;
    Ok(true)
}

pub(super) fn delete(s: &mut Session<'_>, run_id: &RunId) -> Outcome<bool> {
    const DELETE: &str = r#"DELETE FROM "{t}" WHERE run_id = ?"#;
    Ok(s.tables
        .statement(DELETE)
        .text(run_id.as_str())
        .run(s.conn)?
        > 0)
}

pub(super) fn reschedule(s: &mut Session<'_>, run_id: &RunId, at: Timestamp) -> Outcome<bool> {
    const RESCHEDULE: &str = concat!(
        r#"
        UPDATE "{t}" SET token = token + 1, rev = rev + 1, waiting = NULL, job = ?, ready = ?,
          available_at = ?, order_key = ?, "#,
        take_away!(),
        r#", updated_at = ?
        WHERE id = ?"#
    );
    let Some(found) = find(s, run_id)? else {
        return Ok(false);
    };
    if let Some(ended) = found.ended() {
        return Err(conflict(format!("program {run_id} {ended}")));
    }
    let now = s.now.clone();
    // Where a body runs under the old claim, not before its lease has ended.
    let at = found
        .busy_until
        .map_or(at.as_millis(), |busy| busy.max(at.as_millis()));
    s.tables
        .statement(RESCHEDULE)
        .maybe_text(found.jobs.get(found.step))
        .int(i64::from(at <= now.millis))
        .int(at)
        .int(order_key(at, found.priority))
        .text(&now.text)
        .int(found.id)
        .run(s.conn)?;
    Ok(true)
}

pub(super) fn set_attributes(s: &mut Session<'_>, run_id: &RunId, fields: &str) -> Outcome<bool> {
    const READ: &str = r#"SELECT id, attributes FROM "{t}" WHERE run_id = ?"#;
    const SET: &str = r#"UPDATE "{t}" SET attributes = ?, updated_at = ? WHERE id = ?"#;
    let rows = s
        .tables
        .statement(READ)
        .text(run_id.as_str())
        .rows::<(BigInt, Text), (i64, String), _>(s.conn)?;
    let Some((id, attributes)) = rows.into_iter().next() else {
        return Ok(false);
    };
    let invalid = |e: json::DataError| {
        Failure::Ours(Error::new(
            ErrorKind::InvalidData,
            format!("attributes: {e}"),
        ))
    };
    let mut all = json::read_map(&attributes).map_err(invalid)?;
    all.extend(json::read_map(fields).map_err(invalid)?);
    let text = s.now.text.clone();
    s.tables
        .statement(SET)
        .text(json::map_text(&all))
        .text(text)
        .int(id)
        .run(s.conn)?;
    Ok(true)
}

pub(super) fn set_retry_after(
    s: &mut Session<'_>,
    run_id: &RunId,
    delay: Option<Duration>,
) -> Outcome<bool> {
    // A program that waits already counts the new time from now on.
    const SET: &str = r#"
        UPDATE "{t}" SET retry_after = ?,
          available_at = CASE WHEN waiting IS NULL THEN available_at ELSE ? END, updated_at = ?
        WHERE run_id = ?"#;
    let now = s.now.clone();
    let delay = delay.map(millis);
    let touched = s
        .tables
        .statement(SET)
        .int(delay)
        .int(delay.map(|delay| now.millis.saturating_add(delay)))
        .text(&now.text)
        .text(run_id.as_str())
        .run(s.conn)?;
    Ok(touched > 0)
}

pub(super) fn set_paused(s: &mut Session<'_>, queue: &str, paused: bool) -> Outcome<bool> {
    const PAUSE: &str = r#"
        INSERT INTO "{t}_queues" (name, paused_at) VALUES (?, ?)
        ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at WHERE paused_at IS NULL"#;
    const RESUME: &str = r#"DELETE FROM "{t}_queues" WHERE name = ? AND paused_at IS NOT NULL"#;
    let statement = if paused {
        s.tables.statement(PAUSE).text(queue).int(s.now.millis)
    } else {
        s.tables.statement(RESUME).text(queue)
    };
    Ok(statement.run(s.conn)? > 0)
}

/// The oldest programs that ended before `age` ago. Only looks: the walk over those that are
/// younger holds up no writer.
pub(super) fn prunable(s: &mut Session<'_>, age: Duration, limit: usize) -> Outcome<Vec<i64>> {
    const PRUNABLE: &str = concat!(
        "SELECT id FROM \"{t}\" NOT INDEXED WHERE (errored_at IS NOT NULL OR finished_at IS NOT NULL)",
        " AND ",
        time!("COALESCE(errored_at, finished_at)"),
        " <= ? ORDER BY id LIMIT ?"
    );
    let before = s.now.millis.saturating_sub(millis(age));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(s.tables
        .statement(PRUNABLE)
        .int(before)
        .int(limit)
        .rows::<BigInt, i64, _>(s.conn)?)
}

/// Deletes those of them that have still ended: one that was retried a moment ago stays.
pub(super) fn prune(s: &mut Session<'_>, age: Duration, ids: &[i64]) -> Outcome<usize> {
    const PRUNE: &str = concat!(
        "DELETE FROM \"{t}\" WHERE id IN (SELECT value FROM json_each(?))",
        " AND (errored_at IS NOT NULL OR finished_at IS NOT NULL)",
        " AND ",
        time!("COALESCE(errored_at, finished_at)"),
        " <= ?"
    );
    let before = s.now.millis.saturating_sub(millis(age));
    let ids = serde_json::to_string(ids).unwrap_or_default();
    Ok(s.tables
        .statement(PRUNE)
        .text(ids)
        .int(before)
        .run(s.conn)?)
}
