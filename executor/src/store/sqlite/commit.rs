//! Writes of running programs, each behind its fence.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{Outcome, Session, create::insert_children, history, millis};
use crate::store::{Change, Fence, StepWrite, Written, statement::Statement};

/// Whether others may have something to do after this write.
pub(super) fn makes_due(write: &StepWrite) -> bool {
    !write.children.is_empty()
        || !matches!(
            write.change,
            Change::Save { .. }
                | Change::Advance { .. }
                | Change::Finish { .. }
                | Change::Fail { .. }
        )
}

pub(super) fn commit(s: &mut Session<'_>, writes: &[StepWrite]) -> Outcome<Vec<Written>> {
    let goes_on = |write: &StepWrite| matches!(write.change, Change::Advance { .. });
    let paused = writes.iter().any(goes_on) && is_any_queue_paused(s)?;
    let written = writes.iter().map(|write| match apply(s, write)? {
        Written::Committed if paused && goes_on(write) => release_if_paused(s, write),
        written => Ok(written),
    });
    written.collect()
}

fn is_any_queue_paused(s: &mut Session<'_>) -> Outcome<bool> {
    const PAUSED: &str = r#"SELECT 1 FROM "{t}_queues" WHERE paused_at IS NOT NULL LIMIT 1"#;
    Ok(!s
        .tables
        .statement(PAUSED)
        .rows::<BigInt, i64, _>(s.conn)?
        .is_empty())
}

/// A program of a paused queue does not go on under its claim (SEMANTICS §4.3).
fn release_if_paused(s: &mut Session<'_>, write: &StepWrite) -> Outcome<Written> {
    const RELEASE: &str = r#"
        UPDATE "{t}" SET lease_until = NULL, worker = NULL, ready = 1, available_at = ?,
          order_key = ? + priority * 60000
        WHERE id = ? AND queue IN (SELECT name FROM "{t}_queues" WHERE paused_at IS NOT NULL)"#;
    let now = s.now.millis;
    let statement = s
        .tables
        .statement(RELEASE)
        .int(now)
        .int(now)
        .int(write.fence.id);
    Ok(if statement.run(s.conn)? == 1 {
        Written::Released
    } else {
        Written::Committed
    })
}

/// One write: the straight way where all is as the worker knows it, and else by what is found.
fn apply(s: &mut Session<'_>, write: &StepWrite) -> Outcome<Written> {
    let written = if straight(s, write, true)? {
        Written::Committed
    } else {
        settle(s, write)?
    };
    if matches!(written, Written::Committed | Written::Stopped) && stores_children(&write.change) {
        insert_children(s, &write.children)?;
    }
    Ok(written)
}

/// Children of an attempt that failed are discarded, unless saved progress has stored them.
fn stores_children(change: &Change) -> bool {
    !matches!(
        change,
        Change::Retry { .. } | Change::Fail { .. } | Change::GiveBack
    )
}

/// The row is not as the worker knew it: why?
fn settle(s: &mut Session<'_>, write: &StepWrite) -> Outcome<Written> {
    const FOUND: &str = r#"
        SELECT token, rev, errored_at IS NOT NULL, finished_at IS NOT NULL FROM "{t}" WHERE id = ?"#;
    let found = s
        .tables
        .statement(FOUND)
        .int(write.fence.id)
        .rows::<(BigInt, BigInt, BigInt, BigInt), (i64, i64, i64, i64), _>(s.conn)?;
    let Some((token, rev, errored, finished)) = found.into_iter().next() else {
        return Ok(Written::LeaseLost);
    };
    if token != write.fence.token {
        let body_has_ended = !matches!(write.change, Change::Save { .. });
        if body_has_ended && token == write.fence.token + 1 {
            let_go(s, write.fence.id, token)?;
        }
        return Ok(Written::LeaseLost);
    }
    if rev == write.fence.rev + 1 {
        // This very write was applied before, and the answer was lost.
        return Ok(if errored != 0 {
            Written::Stopped
        } else {
            Written::Committed
        });
    }
    if rev != write.fence.rev {
        return Ok(Written::LeaseLost);
    }
    if errored == 0 && finished == 0 {
        // The lease had run out, and nobody has taken the program: it is ours still.
        let done = straight(s, write, false)?;
        return Ok(if done {
            Written::Committed
        } else {
            Written::LeaseLost
        });
    }
    record_on_stopped(s, write)?;
    Ok(Written::Stopped)
}

/// The claim before this token was taken away from outside, and its body has ended: what was put off
/// until the old lease's end need not wait any more (SEMANTICS §3.2).
fn let_go(s: &mut Session<'_>, id: i64, token: i64) -> Outcome<()> {
    const LET_GO: &str = r#"
        UPDATE "{t}" SET busy_until = NULL,
          available_at = CASE WHEN available_at = busy_until AND waiting IS NULL THEN ?
            ELSE available_at END
        WHERE id = ? AND token = ? AND lease_until IS NULL"#;
    let now = s.now.millis;
    s.tables
        .statement(LET_GO)
        .int(now)
        .int(id)
        .int(token)
        .run(s.conn)?;
    Ok(())
}

/// The arrow itself. `leased`: only where the lease is still there.
fn straight(s: &mut Session<'_>, write: &StepWrite, leased: bool) -> Outcome<bool> {
    let now = s.now.clone();
    let lease = now.millis.saturating_add(millis(write.lease));
    // Each arrow has two texts, so that the common one touches no index.
    macro_rules! arrow {
        ($($set:expr),+) => {
            if leased {
                s.tables.statement(concat!(
                    "UPDATE \"{t}\" SET rev = rev + 1, updated_at = ?, ", $($set),+,
                    " WHERE id = ? AND token = ? AND rev = ? AND errored_at IS NULL",
                    " AND finished_at IS NULL AND ready = 0"
                ))
            } else {
                s.tables.statement(concat!(
                    "UPDATE \"{t}\" SET rev = rev + 1, updated_at = ?, ready = 0, ", $($set),+,
                    " WHERE id = ? AND token = ? AND rev = ? AND errored_at IS NULL",
                    " AND finished_at IS NULL"
                ))
            }
            .text(&now.text)
        };
    }
    let touched = match &write.change {
        Change::Save { job_data } => {
            let statement = if leased {
                arrow!("crashes = 0, job_data = ?, child_ordinal = ?")
            } else {
                arrow!("crashes = 0, job_data = ?, child_ordinal = ?, lease_until = ?")
            };
            let statement = statement.text(job_data).int(i64::from(write.ordinal));
            let statement = if leased {
                statement
            } else {
                statement.int(lease)
            };
            fenced(statement, write.fence).run(s.conn)?
        }
        Change::Advance { next, outputs } => {
            let statement = if leased {
                arrow!(
                    "step = COALESCE(step, 0) + 1, step_retry_count = 0, crashes = 0, child_ordinal = 0, \
                     completion = NULL, job = ?, outputs = COALESCE(?, outputs)"
                )
            } else {
                arrow!(
                    "step = COALESCE(step, 0) + 1, step_retry_count = 0, crashes = 0, child_ordinal = 0, \
                     completion = NULL, job = ?, outputs = COALESCE(?, outputs), lease_until = ?"
                )
            };
            let statement = statement.text(next).maybe_text(outputs.as_deref());
            let statement = if leased {
                statement
            } else {
                statement.int(lease)
            };
            fenced(statement, write.fence).run(s.conn)?
        }
        Change::AdvanceAndRelease { next, outputs } => {
            let statement = arrow!(
                "step = COALESCE(step, 0) + 1, step_retry_count = 0, crashes = 0, child_ordinal = 0, \
                 completion = NULL, job = ?, outputs = COALESCE(?, outputs), \
                 lease_until = NULL, worker = NULL, available_at = ?, order_key = ? + priority * 60000, \
                 ready = 1"
            );
            let statement = statement.text(next).maybe_text(outputs.as_deref());
            fenced(statement.int(now.millis).int(now.millis), write.fence).run(s.conn)?
        }
        Change::Finish { outputs } => {
            let statement = arrow!(
                "step = COALESCE(step, 0) + 1, step_retry_count = 0, crashes = 0, child_ordinal = 0, \
                 completion = NULL, job = NULL, outputs = COALESCE(?, outputs), \
                 lease_until = NULL, worker = NULL, finished_at = ?"
            );
            let statement = statement.maybe_text(outputs.as_deref()).text(&now.text);
            fenced(statement, write.fence).run(s.conn)?
        }
        Change::Retry { failure, after } => {
            let statement = arrow!(
                "step_retry_count = COALESCE(step_retry_count, 0) + 1, crashes = 0, \
                 error_message = ?, ",
                history!(),
                ", \
                 lease_until = NULL, worker = NULL, available_at = ?"
            );
            let statement = statement
                .text(&failure.message)
                .text(history::entry(failure, &now.text));
            let due = now.millis.saturating_add(millis(*after));
            fenced(statement.int(due), write.fence).run(s.conn)?
        }
        Change::Fail { failure } => {
            let statement = arrow!(
                "error_message = ?, ",
                history!(),
                ", \
                 lease_until = NULL, worker = NULL, errored_at = ?"
            );
            let statement = statement
                .text(&failure.message)
                .text(history::entry(failure, &now.text))
                .text(&now.text);
            fenced(statement, write.fence).run(s.conn)?
        }
        Change::Snooze { after } => {
            let statement = arrow!(
                "crashes = 0, child_ordinal = ?, lease_until = NULL, worker = NULL, available_at = ?"
            );
            let due = now.millis.saturating_add(millis(*after));
            fenced(
                statement.int(i64::from(write.ordinal)).int(due),
                write.fence,
            )
            .run(s.conn)?
        }
        Change::HandOff { key, next } => return hand_off(s, write, key, next.as_deref(), leased),
        Change::GiveBack => {
            let statement = arrow!("lease_until = NULL, worker = NULL, ready = 1");
            fenced(statement, write.fence).run(s.conn)?
        }
    };
    Ok(touched == 1)
}

fn fenced(statement: Statement<'_>, fence: Fence) -> Statement<'_> {
    statement.int(fence.id).int(fence.token).int(fence.rev)
}

/// The program waits; unless its report has come while the job still ran.
fn hand_off(
    s: &mut Session<'_>,
    write: &StepWrite,
    key: &str,
    next: Option<&str>,
    leased: bool,
) -> Outcome<bool> {
    const FOUND: &str = r#"
        SELECT completion, retry_after, outputs FROM "{t}"
        WHERE id = ? AND token = ? AND rev = ? AND errored_at IS NULL AND finished_at IS NULL
          AND ready <= ?"#;
    const WAIT: &str = r#"
        UPDATE "{t}" SET rev = rev + 1, updated_at = ?, ready = 0, waiting = 'hand_off',
          crashes = 0, child_ordinal = ?, lease_until = NULL, worker = NULL, available_at = ?
        WHERE id = ?"#;
    let found = fenced(s.tables.statement(FOUND), write.fence)
        .int(i64::from(!leased))
        .rows::<(Nullable<Text>, Nullable<BigInt>, Text), (Option<String>, Option<i64>, String), _>(
            s.conn,
        )?;
    let Some((completion, retry_after, outputs)) = found.into_iter().next() else {
        return Ok(false);
    };
    if let Some(completion) = completion {
        super::report::step_done(s, write.fence.id, key, next, &outputs, &completion)?;
        return Ok(true);
    }
    let back = retry_after.map(|delay| s.now.millis.saturating_add(delay));
    let waits = s
        .tables
        .statement(WAIT)
        .text(s.now.text.clone())
        .int(i64::from(write.ordinal))
        .int(back)
        .int(write.fence.id)
        .run(s.conn)?;
    Ok(waits == 1)
}

/// A step that ends on a stopped program is recorded, and starts nothing (SEMANTICS §3.1).
fn record_on_stopped(s: &mut Session<'_>, write: &StepWrite) -> Outcome<()> {
    const SAVED: &str = r#"
        UPDATE "{t}" SET rev = rev + 1, updated_at = ?, job_data = ?, child_ordinal = ?
        WHERE id = ?"#;
    const DONE: &str = r#"
        UPDATE "{t}" SET rev = rev + 1, updated_at = ?, step = COALESCE(step, 0) + 1, step_retry_count = 0,
          crashes = 0, child_ordinal = 0, job = ?, outputs = COALESCE(?, outputs),
          lease_until = NULL, worker = NULL
        WHERE id = ?"#;
    const GIVEN_BACK: &str = r#"
        UPDATE "{t}" SET rev = rev + 1, updated_at = ?, lease_until = NULL, worker = NULL
        WHERE id = ?"#;
    let text = s.now.text.clone();
    let id = write.fence.id;
    let statement = match &write.change {
        Change::Save { job_data } => {
            let ordinal = i64::from(write.ordinal);
            s.tables
                .statement(SAVED)
                .text(text)
                .text(job_data)
                .int(ordinal)
        }
        Change::Advance { next, outputs } | Change::AdvanceAndRelease { next, outputs } => s
            .tables
            .statement(DONE)
            .text(text)
            .text(next)
            .maybe_text(outputs.as_deref()),
        Change::Finish { outputs } => s
            .tables
            .statement(DONE)
            .text(text)
            .maybe_text(None::<&str>)
            .maybe_text(outputs.as_deref()),
        _ => s.tables.statement(GIVEN_BACK).text(text),
    };
    statement.int(id).run(s.conn)?;
    Ok(())
}
