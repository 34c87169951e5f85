//! Creation of programs: many at once, also where their unique keys may be taken.

use std::collections::HashSet;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::rows::{Rows, texts, words};
use crate::store::{
    NewProgram,
    sql::{
        Failure, Outcome, Session,
        create::{Row, row},
        statement::{Statement, Value, sql},
    },
};

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
    let (keyed, free): (Vec<_>, Vec<_>) = rows.partition(|row| row.unique_key.is_some());
    let mut inserted = Vec::with_capacity(programs.len());
    if !free.is_empty() {
        s.run(all(&free)).await?;
        inserted.extend(run_ids(&free));
    }
    inserted.extend(insert_keyed(s, keyed).await?);
    Ok(inserted)
}

fn run_ids(rows: &[Row<'_>]) -> impl Iterator<Item = String> {
    rows.iter().map(|row| row.run_id.to_owned())
}

/// Inserts those whose keys nobody has; the run ids of those that were.
async fn insert_keyed<S: Session>(s: &mut S, mut rows: Vec<Row<'_>>) -> Outcome<Vec<String>> {
    // Two who insert the same keys wait for each other one way only; of the same key the first one counts.
    rows.sort_by_key(|row| row.unique_key);
    rows.dedup_by_key(|row| row.unique_key);
    if let Some(inserted) = insert_where_free(s, &mut rows).await? {
        return Ok(inserted);
    }
    // Somebody was quicker with one of the keys, and the database took the whole statement back.
    let mut inserted = Vec::new();
    for row in rows {
        let alone = insert_where_free(s, &mut vec![row]).await?;
        inserted.extend(alone.into_iter().flatten());
    }
    Ok(inserted)
}

/// Inserts all of these but those whose keys somebody has, by one statement; `None`: one of the others was
/// taken meanwhile, and none is inserted.
///
/// Looking first: an insert that meets a key keeps it locked until the transaction ends, and the program that
/// has it could not end.
async fn insert_where_free<S: Session>(
    s: &mut S,
    rows: &mut Vec<Row<'_>>,
) -> Outcome<Option<Vec<String>>> {
    let taken = taken(s, rows).await?;
    let mut place = 0..;
    rows.retain(|_| place.next().is_some_and(|at| !taken.contains(&at)));
    if rows.is_empty() {
        return Ok(Some(Vec::new()));
    }
    match s.run(all(rows)).await {
        Ok(_) => Ok(Some(run_ids(rows).collect())),
        // Nothing but the key is unique.
        Err(Failure::Sql(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _))) => {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// The places of those whose keys somebody has.
async fn taken<S: Session>(s: &mut S, rows: &[Row<'_>]) -> Outcome<HashSet<usize>> {
    // As in `there`.
    const TAKEN: &str = "
        SELECT CAST(w.place - 1 AS CHAR) FROM JSON_TABLE(?, '$[*]' COLUMNS (
          place FOR ORDINALITY, word LONGTEXT CHARACTER SET utf8mb4 PATH '$[0]')) w
        WHERE (SELECT 1 FROM {t} p FORCE INDEX ({name unique_key})
          WHERE p.held_key = UNHEX(SHA2(w.word, 256)) LIMIT 1) IS NOT NULL";
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let keys = rows.iter().map(|row| row.unique_key.unwrap_or_default());
    let found = s.texts(sql(TAKEN).text(texts(keys))).await?;
    Ok(found.iter().filter_map(|at| at.parse().ok()).collect())
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
    const INSERT: &str = "
        INSERT INTO {t} (run_id, name, queue, jobs, job, program_data, job_data, attributes, priority,
          unique_key, retry_after, parent_run_id, available_at, order_key, ready, step, step_retry_count)
        SELECT run_id, name, queue, jobs, job, program_data, job_data, attributes, priority, unique_key,
          retry_after, parent, at, at + priority * 60000, at <= {now_ms}, 0, 0
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
            due BIGINT PATH '$[11]', after BIGINT PATH '$[12]',
            unique_key LONGTEXT CHARACTER SET utf8mb4 PATH '$[13]')) w
        ) w";
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
            maybe(row.unique_key),
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
