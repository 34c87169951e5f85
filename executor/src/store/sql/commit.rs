//! Writes of running programs behind their fences, one by one.

use serde::Deserialize;

use super::{
    Flag, Outcome, Session,
    arrow::{self, fenced},
    report, rows,
    statement::{Statement, sql},
};
use crate::store::{Change, Fence, StepWrite, Written};

/// Whether others may have something to do after this write.
pub(in crate::store) fn makes_due(write: &StepWrite) -> bool {
    !write.children.is_empty()
        || !matches!(
            write.change,
            Change::Save { .. }
                | Change::Advance { .. }
                | Change::Finish { .. }
                | Change::Fail { .. }
                | Change::AdvanceAndHandOver { .. }
                | Change::HandOver
                | Change::HandedOver
        )
}

/// Children of an attempt that failed are discarded, unless saved progress has stored them.
pub(in crate::store) fn stores_children(write: &StepWrite) -> bool {
    !write.children.is_empty()
        && !matches!(
            write.change,
            Change::Retry { .. } | Change::Fail { .. } | Change::GiveBack | Change::HandOver
        )
}

/// Whether the next step is to run under the same claim.
pub(in crate::store) fn goes_on(write: &StepWrite) -> bool {
    matches!(write.change, Change::Advance { .. })
}

pub(in crate::store) async fn is_any_queue_paused<S: Session>(s: &mut S) -> Outcome<bool> {
    const PAUSED: &str = "SELECT name FROM {table queues} WHERE paused_at IS NOT NULL LIMIT 1";
    Ok(!s.texts(sql(PAUSED)).await?.is_empty())
}

/// A program of a paused queue does not go on under its claim (SEMANTICS §4.3).
pub(in crate::store) async fn release_if_paused<S: Session>(
    s: &mut S,
    write: &StepWrite,
) -> Outcome<Written> {
    const RELEASE: &str = "
        UPDATE {t} SET job = {job}, lease_until = NULL, worker = NULL, ready = 1,
          available_at = {now_ms}, order_key = {now_ms} + priority * 60000
        WHERE id = ? AND queue IN (SELECT name FROM {table queues} WHERE paused_at IS NOT NULL)";
    let released = s.run(sql(RELEASE).int(write.fence.id)).await?;
    Ok(if released == 1 {
        Written::Released
    } else {
        Written::Committed
    })
}

/// The arrow itself; `leased`: only where the lease is still there.
pub(in crate::store) async fn straight<S: Session>(
    s: &mut S,
    write: &StepWrite,
    leased: bool,
) -> Outcome<bool> {
    let (arrow, values) = arrow::of(write);
    Ok(s.run(arrow.statement(values, write, leased)).await? == 1)
}

/// A row as a write finds it that could not go straight.
#[derive(Deserialize)]
struct Found {
    token: i64,
    rev: i64,
    errored: Flag,
    finished: Flag,
    completion: Option<String>,
    outputs: String,
}

macro_rules! found {
    ($lock:literal) => {
        concat!(
            "SELECT {object}('token', token, 'rev', rev, 'errored', errored_at IS NOT NULL,
               'finished', finished_at IS NOT NULL, 'completion', completion,
               'outputs', CAST(outputs AS {text}))
             FROM {t} WHERE id = ?",
            $lock
        )
    };
}

/// The row is not as the worker knew it: why? `None`: somebody holds it.
pub(in crate::store) async fn settle<S: Session>(
    s: &mut S,
    write: &StepWrite,
) -> Outcome<Option<Written>> {
    let id = write.fence.id;
    let found = rows::<_, Found>(s, sql(found!("{unlocked}")).int(id)).await?;
    let Some(found) = found.into_iter().next() else {
        // It is gone, or somebody holds it.
        let held = rows::<_, Found>(s, sql(found!("")).int(id)).await?;
        let ours = held.iter().any(|row| row.token == write.fence.token);
        return Ok((!ours).then_some(Written::LeaseLost));
    };
    settle_found(s, write, &found).await.map(Some)
}

/// Writes of one program, one behind the other, and nothing of them unless all are.
pub(in crate::store) async fn one_by_one<S: Session>(
    s: &mut S,
    writes: &[StepWrite],
) -> Outcome<Written> {
    let mut done = Written::LeaseLost;
    for write in writes {
        done = match straight(s, write, true).await? {
            true => Written::Committed,
            false => settle(s, write).await?.unwrap_or(Written::LeaseLost),
        };
        if done == Written::LeaseLost {
            return Ok(done);
        }
        if done == Written::Committed && goes_on(write) && is_any_queue_paused(s).await? {
            done = release_if_paused(s, write).await?;
        }
    }
    Ok(done)
}

/// What became of a write whose answer was lost; `None`: it was not applied, and never will be.
pub(in crate::store) async fn was_written<S: Session>(
    s: &mut S,
    fence: Fence,
) -> Outcome<Option<Written>> {
    let found = rows::<_, Found>(s, sql(found!("{locked}")).int(fence.id)).await?;
    let applied = found
        .into_iter()
        .find(|row| row.token == fence.token && row.rev == fence.rev + 1);
    Ok(applied.map(|row| match row.errored.0 {
        true => Written::Stopped,
        false => Written::Committed,
    }))
}

async fn settle_found<S: Session>(s: &mut S, write: &StepWrite, found: &Found) -> Outcome<Written> {
    let id = write.fence.id;
    let token = found.token;
    if token != write.fence.token {
        let body_has_ended = !matches!(write.change, Change::Save { .. });
        if body_has_ended && token == write.fence.token + 1 {
            let_go(s, id, token).await?;
        }
        return Ok(Written::LeaseLost);
    }
    if found.rev == write.fence.rev + 1 {
        // This very write was applied before, and the answer was lost.
        return Ok(if found.errored.0 {
            Written::Stopped
        } else {
            Written::Committed
        });
    }
    if found.rev != write.fence.rev {
        return Ok(Written::LeaseLost);
    }
    if found.errored.0 || found.finished.0 {
        record_on_stopped(s, write).await?;
        return Ok(Written::Stopped);
    }
    if let (Change::HandOff { key, next } | Change::Await { key, next, .. }, Some(completion)) =
        (&write.change, &found.completion)
    {
        let next = next.as_deref();
        report::step_done(s, id, key, next, &found.outputs, completion).await?;
        // This body has ended by itself: nobody need wait for it.
        let_go(s, id, token + 1).await?;
        return Ok(Written::Committed);
    }
    // The lease had run out, and nobody has taken the program: it is ours still.
    Ok(if straight(s, write, false).await? {
        Written::Committed
    } else {
        Written::LeaseLost
    })
}

/// The claim before this token was taken away from outside, and its body has ended: what was put off
/// until the old lease's end need not wait any more (SEMANTICS §3.2).
async fn let_go<S: Session>(s: &mut S, id: i64, token: i64) -> Outcome<()> {
    const LET_GO: &str = "
        UPDATE {t} SET
          available_at = CASE WHEN available_at = busy_until AND waiting IS NULL THEN {now_ms}
            ELSE available_at END,
          busy_until = NULL
        WHERE id = ? AND token = ? AND lease_until IS NULL";
    s.run(sql(LET_GO).int(id).int(token)).await?;
    Ok(())
}

/// A step that ends on a stopped program is recorded, and starts nothing (SEMANTICS §3.1).
async fn record_on_stopped<S: Session>(s: &mut S, write: &StepWrite) -> Outcome<()> {
    const SAVED: &str = "
        UPDATE {t} SET rev = rev + 1, updated_at = {now}, job_data = {json}, child_ordinal = ?
        WHERE id = ? AND token = ? AND rev = ?";
    const DONE: &str = "
        UPDATE {t} SET rev = rev + 1, updated_at = {now}, step = COALESCE(step, 0) + 1, cur_step = cur_step + 1,
          step_retry_count = 0, crashes = 0, child_ordinal = 0,
          outputs = COALESCE({json}, outputs), job = ?, lease_until = NULL, worker = NULL
        WHERE id = ? AND token = ? AND rev = ?";
    const GIVEN_BACK: &str = "
        UPDATE {t} SET rev = rev + 1, updated_at = {now}, lease_until = NULL, worker = NULL
        WHERE id = ? AND token = ? AND rev = ?";
    let statement: Statement<'_> = match &write.change {
        Change::Save { job_data } => sql(SAVED).text(job_data).int(i64::from(write.ordinal)),
        Change::Advance { next, outputs }
        | Change::AdvanceAndRelease { next, outputs }
        | Change::AdvanceAndHandOver { next, outputs } => {
            sql(DONE).maybe_text(outputs.as_deref()).text(next)
        }
        Change::Finish { outputs } => sql(DONE)
            .maybe_text(outputs.as_deref())
            .maybe_text(None::<&str>),
        _ => sql(GIVEN_BACK),
    };
    s.run(fenced(statement, write.fence)).await?;
    Ok(())
}
