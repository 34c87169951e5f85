//! Creation of programs.

use diesel::sql_types::Text;

use super::{Outcome, Session, millis};
use crate::{
    config::DEFAULT_QUEUE,
    error::{Error, ErrorKind, Result},
    program::Start,
    run_id::RunId,
    store::{Created, NewProgram},
};

/// Inserts programs; those whose unique key is taken come back with its holder.
pub(super) fn create(
    s: &mut Session<'_>,
    programs: &[NewProgram],
) -> Outcome<Vec<Result<Created>>> {
    programs.iter().map(|program| insert(s, program)).collect()
}

const INSERT: &str = r#"
INSERT INTO "{t}" (run_id, name, queue, jobs, job, program_data, job_data, attributes,
  ready, order_key, priority, available_at, unique_key, retry_after, parent_run_id,
  created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"#;

const HOLDER: &str = r#"
SELECT run_id FROM "{t}"
WHERE unique_key = ? AND finished_at IS NULL AND errored_at IS NULL"#;

fn insert(s: &mut Session<'_>, new: &NewProgram) -> Outcome<Result<Created>> {
    let program = &new.program;
    let options = &program.options;
    let now = s.now.millis;
    let available_at = match options.start {
        Start::Now => now,
        Start::At(time) => time.as_millis(),
        Start::After(delay) => now.saturating_add(millis(delay)),
    };
    let ready = available_at <= now;
    let jobs = serde_json::to_string(&program.jobs).unwrap_or_default();
    let inserted = s
        .tables
        .statement(INSERT)
        .text(new.run_id.as_str())
        .maybe_text(options.name.as_deref())
        .text(options.queue.as_deref().unwrap_or(DEFAULT_QUEUE))
        .text(&jobs)
        .text(&*program.jobs[0])
        .text(&program.program_data)
        .text(&program.job_data)
        .text(&program.attributes)
        .int(i64::from(ready))
        .int(order_key(available_at, i64::from(options.priority)))
        .int(i64::from(options.priority))
        .int(available_at)
        .maybe_text(options.unique_key.as_deref())
        .int(options.retry_after.map(millis))
        .maybe_text(new.parent.as_ref().map(RunId::as_str))
        .text(&s.now.text)
        .text(&s.now.text)
        .run(s.conn)?;
    if inserted == 1 {
        return Ok(Ok(Created {
            run_id: new.run_id.clone(),
            existed: false,
        }));
    }
    // Inside the one write transaction the holder of the key cannot end meanwhile.
    let key = options.unique_key.as_deref().unwrap_or_default();
    let holder = s
        .tables
        .statement(HOLDER)
        .text(key)
        .rows::<Text, String, _>(s.conn)?;
    Ok(match holder.into_iter().next() {
        Some(run_id) => Ok(Created {
            run_id: run_id.into(),
            existed: true,
        }),
        None => Err(Error::new(
            ErrorKind::Store,
            "the program was not stored; create it again",
        )),
    })
}

/// Where a program stands among the due ones (SEMANTICS §4.1): a step of priority is worth a minute.
pub(super) fn order_key(available_at: i64, priority: i64) -> i64 {
    available_at.saturating_add(priority.saturating_mul(60_000))
}

/// Inserts a job's children; those that an earlier attempt has stored are there already.
pub(super) fn insert_children(s: &mut Session<'_>, children: &[NewProgram]) -> Outcome<()> {
    const EXISTS: &str = r#"SELECT run_id FROM "{t}" WHERE run_id = ?"#;
    for child in children {
        let there = s
            .tables
            .statement(EXISTS)
            .text(child.run_id.as_str())
            .rows::<Text, String, _>(s.conn)?;
        if there.is_empty() {
            // A child whose unique key is taken is that other program: nothing to add.
            let _ = insert(s, child)?;
        }
    }
    Ok(())
}
