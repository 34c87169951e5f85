//! What is reported of a job that was handed off (SEMANTICS §3.3).

use serde_json::value::RawValue;

use super::{
    Outcome, Session, conflict,
    control::{Found, find, take_away},
    invalid,
    statement::sql,
    waits,
};
use crate::{
    job::data_key,
    json,
    run_id::RunId,
    store::{Afterwards, Target},
};

const DELETE: &str = "DELETE FROM {t} WHERE id = ?";

/// Checks that a report is for the step at which the program is (SEMANTICS §3.3).
async fn report<S: Session>(s: &mut S, target: &Target) -> Outcome<Option<Found>> {
    let run_id = target.run_id();
    let Some(found) = find(s, run_id).await? else {
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
        // The first report wins, also where its job still runs.
        _ if found.completion.is_some() => Err(conflict(format!(
            "program {run_id} has been completed at step {}, and goes on when its job has ended",
            found.step
        ))),
        _ if found.step >= found.jobs.len() => Err(conflict(format!(
            "program {run_id} is at step {}, and has {} jobs: somebody has changed its row",
            found.step,
            found.jobs.len()
        ))),
        _ => Ok(Some(found)),
    }
}

/// Whether the job that was handed off still runs under the claim of the hand-off: then the report
/// is kept, and consumed by the hand-off's own commit.
fn still_runs(found: &Found, target: &Target) -> bool {
    found.leased()
        && !found.waits()
        && match target {
            Target::Token(token) => token.number() == found.token,
            Target::RunId(_) => true,
        }
}

pub(in crate::store) async fn complete<S: Session>(
    s: &mut S,
    target: &Target,
    output: Option<&str>,
    then: Afterwards,
) -> Outcome<bool> {
    const EARLY: &str = "UPDATE {t} SET completion = ?, updated_at = {now} WHERE id = ?";
    let Some(found) = report(s, target).await? else {
        return Ok(false);
    };
    let output = output.unwrap_or("null");
    if still_runs(&found, target) {
        s.run(sql(EARLY).text(output).int(found.id)).await?;
    } else {
        let key = data_key(&found.jobs, found.step);
        step_done(s, found.id, &key, found.next(), &found.outputs, output).await?;
        let told = waits::child_ended(s, target.run_id()).await?;
        // Who waits for it and could not be told now is still to read its output.
        if told && found.next().is_none() && then == Afterwards::Delete {
            s.run(sql(DELETE).int(found.id)).await?;
        }
    }
    Ok(true)
}

/// The step is done by somebody outside; the next one is available, or the program has finished.
/// Whoever runs the step now is fenced off.
pub(super) async fn step_done<S: Session>(
    s: &mut S,
    id: i64,
    key: &str,
    next: Option<&str>,
    outputs: &str,
    output: &str,
) -> Outcome<()> {
    const DONE: &str = concat!(
        "UPDATE {t} SET step = COALESCE(step, 0) + 1, cur_step = cur_step + 1, step_retry_count = 0,
          crashes = 0, child_ordinal = 0, completion = NULL, waiting = NULL, outputs = {json}, job = ?,
          finished_at = CASE WHEN ? = 1 THEN {now} END, ready = ?,
          available_at = {now_ms}, order_key = {now_ms} + priority * 60000, ",
        take_away!(),
        ", updated_at = {now} WHERE id = ?"
    );
    let refused = |e: json::DataError| invalid(format!("the output: {e}"));
    let mut outputs = json::read_map(outputs).map_err(refused)?;
    if output != "null" {
        let output = json::read::<Box<RawValue>>(output).map_err(refused)?;
        outputs.insert(key.to_owned(), output);
    }
    let statement = sql(DONE)
        .text(json::map_text(&outputs))
        .maybe_text(next)
        .int(i64::from(next.is_none()))
        .int(i64::from(next.is_some()))
        .int(id);
    s.run(statement).await?;
    Ok(())
}

pub(in crate::store) async fn fail<S: Session>(
    s: &mut S,
    target: &Target,
    message: &str,
    then: Afterwards,
) -> Outcome<bool> {
    const FAIL: &str = concat!(
        "UPDATE {t} SET errored_at = {now}, error_message = ?, waiting = NULL, completion = NULL, ",
        take_away!(),
        ", updated_at = {now} WHERE id = ?"
    );
    let Some(found) = report(s, target).await? else {
        return Ok(false);
    };
    s.run(match then {
        Afterwards::Keep => sql(FAIL).text(message).int(found.id),
        Afterwards::Delete => sql(DELETE).int(found.id),
    })
    .await?;
    waits::child_ended(s, target.run_id()).await?;
    Ok(true)
}

pub(in crate::store) async fn hand_off<S: Session>(s: &mut S, run_id: &RunId) -> Outcome<bool> {
    const HAND_OFF: &str = concat!(
        "UPDATE {t} SET waiting = 'hand_off', ready = 0, job = {job},
          available_at = {now_ms} + retry_after, ",
        take_away!(),
        ", updated_at = {now} WHERE id = ?"
    );
    let Some(found) = find(s, run_id).await? else {
        return Ok(false);
    };
    if let Some(ended) = found.ended() {
        return Err(conflict(format!("program {run_id} {ended}")));
    }
    if let Some(completion) = &found.completion {
        // The report has come already, while the job ran: there is nothing to wait for.
        let key = data_key(&found.jobs, found.step);
        let next = found.next();
        step_done(s, found.id, &key, next, &found.outputs, completion).await?;
        return Ok(true);
    }
    s.run(sql(HAND_OFF).int(found.id)).await?;
    Ok(true)
}
