//! The tables of the SQLite store.

use diesel::{
    connection::SimpleConnection,
    sql_types::{BigInt, Text},
};

use super::{Failure, Outcome, Session};
use crate::{
    error::{Error, ErrorKind},
    store::schema::{self, Applied, Migration},
};

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            up: include_str!(concat!("../../../migrations/sqlite/", $name, "/up.sql")),
            compatible: false,
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!("2026-11-22-000001_programs"),
    migration!("2026-11-22-000002_engine"),
];

pub(super) fn pending(s: &mut Session<'_>) -> Outcome<Vec<String>> {
    let applied = applied(s)?;
    let pending = schema::pending(MIGRATIONS, &applied).map_err(Failure::Ours)?;
    Ok(pending
        .iter()
        .map(|migration| migration.name.to_owned())
        .collect())
}

/// Applies what is missing; the transaction around it holds the only lock that writers have.
pub(super) fn migrate(s: &mut Session<'_>) -> Outcome<Vec<String>> {
    s.conn.batch_execute(&s.tables.fill(
        r#"CREATE TABLE IF NOT EXISTS "{t}_migrations" (
             name TEXT NOT NULL PRIMARY KEY,
             compatible INTEGER NOT NULL,
             applied_at TEXT NOT NULL
           )"#,
    ))?;
    let applied = applied(s)?;
    if applied.is_empty() {
        check_foreign_table(s)?;
    }
    let pending = schema::pending(MIGRATIONS, &applied).map_err(Failure::Ours)?;
    for migration in &pending {
        tracing::info!(migration = migration.name, "upgrading the tables");
        s.conn.batch_execute(&s.tables.fill(migration.up))?;
        s.tables
            .statement(
                r#"INSERT INTO "{t}_migrations" (name, compatible, applied_at) VALUES (?, ?, ?)"#,
            )
            .text(migration.name)
            .int(i64::from(migration.compatible))
            .text(s.now.text.clone())
            .run(s.conn)?;
    }
    Ok(pending
        .iter()
        .map(|migration| migration.name.to_owned())
        .collect())
}

fn applied(s: &mut Session<'_>) -> Outcome<Vec<Applied>> {
    if !has_table(s, "{t}_migrations")? {
        return Ok(Vec::new());
    }
    let rows = s
        .tables
        .statement(r#"SELECT name, compatible FROM "{t}_migrations""#)
        .rows::<(Text, BigInt), (String, i64), _>(s.conn)?;
    Ok(rows
        .into_iter()
        .map(|(name, compatible)| Applied {
            name,
            compatible: compatible != 0,
        })
        .collect())
}

fn has_table(s: &mut Session<'_>, name: &str) -> Outcome<bool> {
    // Escaped for an identifier; here it is a value.
    let name = s.tables.fill(name).replace("\"\"", "\"");
    let found = s
        .tables
        .statement("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
        .text(name)
        .rows::<BigInt, i64, _>(s.conn)?;
    Ok(!found.is_empty())
}

/// A table of this name that is not ours must be program-executor's, or it is left alone.
fn check_foreign_table(s: &mut Session<'_>) -> Outcome<()> {
    const NEEDED: [&str; 11] = [
        "id",
        "run_id",
        "program_data",
        "jobs",
        "job_data",
        "step",
        "step_retry_count",
        "finished_at",
        "errored_at",
        "error_message",
        "updated_at",
    ];
    if !has_table(s, "{t}")? {
        return Ok(());
    }
    let name = s.tables.fill("{t}").replace("\"\"", "\"");
    let columns = s
        .tables
        .statement("SELECT name FROM pragma_table_info(?)")
        .text(name.clone())
        .rows::<Text, String, _>(s.conn)?;
    match NEEDED
        .iter()
        .find(|needed| !columns.iter().any(|column| column == **needed))
    {
        None => Ok(()),
        Some(missing) => Err(Failure::Ours(Error::new(
            ErrorKind::Configuration,
            format!(
                "the database has a table {name:?} that is neither ours nor program-executor's \
                 (it has no column {missing:?}); choose another name with EXECUTOR_TABLE"
            ),
        ))),
    }
}
