//! What is reported of a job that was handed off (SEMANTICS §3.3).

use serde_json::value::RawValue;

use super::{
    Failure, Outcome, Session, conflict,
    control::{Found, find},
};
use crate::{
    error::{Error, ErrorKind},
    job::data_key,
    json,
    run_id::RunId,
    store::Target,
};

/// Checks that a report is for the step at which the program is (SEMANTICS §3.3).
fn report(s: &mut Session<'_>, target: &Target) -> Outcome<Option<Found>> {
    let run_id = target.run_id();
    let Some(found) = find(s, run_id)? else {
        return Ok(None);
    };
    if let Some(ended) = found.ended() {
        return Err(conflict(format!("program {run_id} {ended}")));
    }
    match target {
        Target::RunId(_) if found.jobs.len() != 1 => Err(conflict(format!(
            "program {run_id} has {} jobs: a report needs the hand-off token of its step",
            found.jobs.len()
        ))),
        Target::Token(token) if token.step() != found.step => Err(conflict(format!(
            "program {run_id} is at step {}, and the report is for step {}",
            found.step,
            token.step()
        ))),
        _ => Ok(Some(found)),
    }
}

/// Whether the job that was handed off still runs under the claim of the hand-off: then the report
/// is kept, and consumed by the hand-off's own commit.
fn still_runs(found: &Found, target: &Target) -> bool {
    found.leased()
        && !found.waiting
        && match target {
            Target::Token(token) => token.number() == found.token,
            Target::RunId(_) => true,
        }
}

pub(super) fn complete(
    s: &mut Session<'_>,
    target: &Target,
    output: Option<&str>,
) -> Outcome<bool> {
    const EARLY: &str = r#"UPDATE "{t}" SET completion = ?, updated_at = ? WHERE id = ?"#;
    let Some(found) = report(s, target)? else {
        return Ok(false);
    };
    let output = output.unwrap_or("null");
    if still_runs(&found, target) {
        let text = s.now.text.clone();
        s.tables
            .statement(EARLY)
            .text(output)
            .text(text)
            .int(found.id)
            .run(s.conn)?;
    } else {
        let key = data_key(&found.jobs, found.step);
        step_done(s, found.id, &key, found.next(), &found.outputs, output)?;
    }
    Ok(true)
}

/// The step is done by somebody outside; the next one is available, or the program has finished.
/// Whoever runs the step now is fenced off.
pub(super) fn step_done(
    s: &mut Session<'_>,
    id: i64,
    key: &str,
    next: Option<&str>,
    outputs: &str,
    output: &str,
) -> Outcome<()> {
    const DONE: &str = concat!(
        r#"
        UPDATE "{t}" SET token = token + 1, rev = rev + 1, step = COALESCE(step, 0) + 1, step_retry_count = 0,
          crashes = 0, child_ordinal = 0, completion = NULL, waiting = NULL, outputs = ?, job = ?,
          finished_at = ?, ready = ?, available_at = ?, order_key = ? + priority * 60000,
          "#,
        take_away!(),
        r#", updated_at = ?
        WHERE id = ?"#
    );
    let invalid = |e: json::DataError| {
        Failure::Ours(Error::new(
            ErrorKind::InvalidData,
            format!("the output: {e}"),
        ))
    };
    let mut outputs = json::read_map(outputs).map_err(invalid)?;
    if output != "null" {
        outputs.insert(
            key.to_owned(),
            json::read::<Box<RawValue>>(output).map_err(invalid)?,
        );
    }
    let now = s.now.clone();
    s.tables
        .statement(DONE)
        .text(json::map_text(&outputs))
        .maybe_text(next)
        .maybe_text(next.is_none().then(|| now.text.clone()))
        .int(i64::from(next.is_some()))
        .int(now.millis)
        .int(now.millis)
        .text(&now.text)
        .int(id)
        .run(s.conn)?;
    Ok(())
}

pub(super) fn fail(s: &mut Session<'_>, target: &Target, message: &str) -> Outcome<bool> {
    const FAIL: &str = concat!(
        r#"
        UPDATE "{t}" SET token = token + 1, rev = rev + 1, errored_at = ?, error_message = ?,
          waiting = NULL, completion = NULL, "#,
        take_away!(),
        r#", updated_at = ?
        WHERE id = ?"#
    );
    let Some(found) = report(s, target)? else {
        return Ok(false);
    };
    let text = s.now.text.clone();
    let statement = s
        .tables
        .statement(FAIL)
        .text(&text)
        .text(message)
        .text(&text);
    statement.int(found.id).run(s.conn)?;
    Ok(true)
}

pub(super) fn hand_off(s: &mut Session<'_>, run_id: &RunId) -> Outcome<bool> {
    const HAND_OFF: &str = concat!(
        r#"
        UPDATE "{t}" SET token = token + 1, rev = rev + 1, waiting = 'hand_off', ready = 0,
          available_at = CASE WHEN retry_after IS NULL THEN NULL ELSE ? + retry_after END,
          "#,
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
    let statement = s.tables.statement(HAND_OFF).int(now.millis).text(&now.text);
    statement.int(found.id).run(s.conn)?;
    Ok(true)
}
