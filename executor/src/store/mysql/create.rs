//! Creation of programs: many at once, or one by one where their unique keys may be taken.

use std::collections::HashSet;

use super::rows::{Rows, texts, words};
use crate::store::{
    NewProgram,
    sql::{
        Failure, Outcome, Session,
        create::{Row, holder, row},
        statement::{Statement, Value, sql},
    },
};

macro_rules! insert {
    ($rest:expr) => {
        concat!(
            "INSERT INTO {t} (run_id, name, queue, jobs, job, program_data, job_data, attributes,
               priority, unique_key, retry_after, parent_run_id, available_at, order_key, ready) ",
            $rest
        )
    };
}

/// Inserts programs; the run ids of those that were.
pub(super) async fn insert<S: Session>(
    s: &mut S,
    programs: &[&NewProgram],
    absent: bool,
) -> Outcome<Vec<String>> {
    let there = match absent {
        true => there(s, programs).await?,
        false => HashSet::new(),
    };
    let rows = programs.iter().map(|new| row(new));
    let rows = rows.filter(|row| !there.contains(row.run_id));
    let (mut keyed, free): (Vec<_>, Vec<_>) = rows.partition(|row| row.unique_key.is_some());
    // Two who insert the same keys wait for each other one way only.
    keyed.sort_by_key(|row| row.unique_key);
    let mut inserted = Vec::with_capacity(programs.len());
    if !free.is_empty() {
        s.run(all(&free)).await?;
        inserted.extend(free.iter().map(|row| row.run_id.to_owned()));
    }
    for row in &keyed {
        if insert_keyed(s, row).await? {
            inserted.push(row.run_id.to_owned());
        }
    }
    Ok(inserted)
}

/// Which of these run ids are there.
async fn there<S: Session>(s: &mut S, programs: &[&NewProgram]) -> Outcome<HashSet<String>> {
    // The limit keeps the optimizer from making a join of it, whose plan would be its own.
    const THERE: &str = concat!(
        "SELECT w.word FROM ",
        words!("w"),
        " WHERE (SELECT 1 FROM {t} p FORCE INDEX ({name run_id}) WHERE p.run_id = w.word LIMIT 1)
            IS NOT NULL"
    );
    let run_ids = programs.iter().map(|program| program.run_id.as_str());
    let found = s.texts(sql(THERE).text(texts(run_ids))).await?;
    Ok(found.into_iter().collect())
}

/// Inserts all of these. Without its own character set a column has that of the connection's database, which
/// may not hold the text.
fn all(rows: &[Row<'_>]) -> Statement<'static> {
    const INSERT: &str = insert!(
        "SELECT run_id, name, queue, jobs, job, program_data, job_data, attributes, priority, NULL,
           retry_after, parent, at, at + priority * 60000, at <= {now_ms}
         FROM (
           SELECT w.*, COALESCE(w.due, {now_ms} + w.after) AS at
           FROM JSON_TABLE(?, '$[*]' COLUMNS (
             run_id LONGTEXT CHARACTER SET utf8mb4 PATH '$[0]',
             name LONGTEXT CHARACTER SET utf8mb4 PATH '$[1]',
             queue LONGTEXT CHARACTER SET utf8mb4 PATH '$[2]',
             jobs LONGTEXT CHARACTER SET utf8mb4 PATH '$[3]',
             job LONGTEXT CHARACTER SET utf8mb4 PATH '$[4]',
             program_data LONGTEXT CHARACTER SET utf8mb4 PATH '$[5]',
             job_data LONGTEXT CHARACTER SET utf8mb4 PATH '$[6]',
             attributes LONGTEXT CHARACTER SET utf8mb4 PATH '$[7]',
             priority BIGINT PATH '$[8]', retry_after BIGINT PATH '$[9]',
             parent LONGTEXT CHARACTER SET utf8mb4 PATH '$[10]',
             due BIGINT PATH '$[11]', after BIGINT PATH '$[12]')) w
         ) w"
    );
    let mut values = Rows::new();
    for row in rows {
        values.push(&[
            text(row.run_id),
            maybe(row.name),
            text(row.queue),
            text(&row.jobs),
            text(row.job),
            text(row.program_data),
            text(row.job_data),
            text(row.attributes),
            Value::Int(Some(row.priority)),
            Value::Int(row.retry_after),
            maybe(row.parent),
            Value::Int(row.at),
            Value::Int(Some(row.after)),
        ]);
    }
    sql(INSERT).text(values.into_text())
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Some(text.into()))
}

fn maybe(text: Option<&str>) -> Value<'_> {
    Value::Text(text.map(Into::into))
}

/// Inserts one whose key may be taken; whether it was not.
async fn insert_keyed<S: Session>(s: &mut S, row: &Row<'_>) -> Outcome<bool> {
    const INSERT: &str = insert!(
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, COALESCE(?, {now_ms} + ?),
           COALESCE(?, {now_ms} + ?) + ? * 60000, COALESCE(?, {now_ms} + ?) <= {now_ms})"
    );
    // Looking first: an insert that meets the key keeps it locked until the transaction ends, and the
    // program that has it could not end.
    if holder(s, row.unique_key.unwrap_or_default())
        .await?
        .is_some()
    {
        return Ok(false);
    }
    let insert = sql(INSERT)
        .text(row.run_id)
        .maybe_text(row.name)
        .text(row.queue)
        .text(&row.jobs)
        .text(row.job)
        .text(row.program_data)
        .text(row.job_data)
        .text(row.attributes)
        .int(row.priority)
        .maybe_text(row.unique_key)
        .int(row.retry_after)
        .maybe_text(row.parent);
    let insert = insert.int(row.at).int(row.after);
    let insert = insert.int(row.at).int(row.after).int(row.priority);
    match s.run(insert.int(row.at).int(row.after)).await {
        Ok(_) => Ok(true),
        // Nothing but the key is unique.
        Err(Failure::Sql(diesel::result::Error::DatabaseError(
            diesel::result::DatabaseErrorKind::UniqueViolation,
            _,
        ))) => Ok(false),
        Err(failure) => Err(failure),
    }
}
