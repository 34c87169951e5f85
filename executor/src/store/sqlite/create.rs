//! Creation of programs.

use diesel::sql_types::Text;

use super::{SqliteSession, at_once};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        Created, NewProgram,
        sql::{
            Outcome,
            create::{reserve, row, stand_in},
            statement::sql,
        },
    },
};

/// Inserts programs; those whose unique key is taken come back with its holder.
pub(super) fn create(
    s: &mut SqliteSession<'_>,
    programs: &[NewProgram],
) -> Outcome<Vec<Result<Created>>> {
    programs.iter().map(|program| insert(s, program)).collect()
}

const INSERT: &str = "
INSERT INTO {t} (run_id, name, queue, jobs, job, program_data, job_data, attributes,
  ready, order_key, priority, available_at, unique_key, retry_after, parent_run_id,
  step, step_retry_count, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, {now}, {now})
ON CONFLICT DO NOTHING";

fn insert(s: &mut SqliteSession<'_>, new: &NewProgram) -> Outcome<Result<Created>> {
    if let Some(other) = at_once(reserve(s, new, false))? {
        return Ok(Ok(other));
    }
    let now = s.now;
    let row = row(new);
    let available_at = row.at.unwrap_or(now.saturating_add(row.after));
    let inserted = s.execute(
        sql(INSERT)
            .text(row.run_id)
            .maybe_text(row.name)
            .text(row.queue)
            .text(&row.jobs)
            .text(row.job)
            .text(row.program_data)
            .text(row.job_data)
            .text(row.attributes)
            .int(i64::from(available_at <= now))
            .int(order_key(available_at, row.priority))
            .int(row.priority)
            .int(available_at)
            .maybe_text(row.unique_key)
            .int(row.retry_after)
            .maybe_text(row.parent),
    )?;
    if inserted == 1 {
        return Ok(Ok(Created::anew(new.run_id.clone())));
    }
    // Inside the one write transaction the holder of the key cannot end meanwhile.
    Ok(at_once(stand_in(s, new))?.ok_or_else(|| {
        Error::new(
            ErrorKind::Store,
            "the program was not stored; create it again",
        )
    }))
}

/// Where a program stands among the due ones (SEMANTICS §4.1): a step of priority is worth a minute.
pub(super) fn order_key(available_at: i64, priority: i64) -> i64 {
    available_at.saturating_add(priority.saturating_mul(60_000))
}

/// Inserts a job's children; those that an earlier attempt has stored are there already.
pub(super) fn insert_children(s: &mut SqliteSession<'_>, children: &[NewProgram]) -> Outcome<()> {
    for child in children {
        // A child whose unique key is taken is that other program: nothing to add.
        let _ = insert_child(s, child)?;
    }
    Ok(())
}

/// Inserts a job's child, unless an earlier attempt has stored it.
pub(super) fn insert_child(
    s: &mut SqliteSession<'_>,
    child: &NewProgram,
) -> Outcome<Result<Created>> {
    const EXISTS: &str = "SELECT run_id FROM {t} WHERE run_id = ?";
    let there = s.rows::<Text, String>(sql(EXISTS).text(child.run_id.as_str()))?;
    match there.is_empty() {
        true => insert(s, child),
        false => Ok(Ok(Created::anew(child.run_id.clone()))),
    }
}
