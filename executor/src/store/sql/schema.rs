//! Migrations: SQL files in diesel's folder layout, with the tables' names filled in.
//!
//! Diesel's own harness blocks in place, and shares one bookkeeping table with the application;
//! ours is `<table>_migrations`. Each row says whether older binaries may go on using the tables:
//! a binary that meets an unknown migration which they may not use refuses to start.

use serde::Deserialize;

use super::{Failure, Flag, Outcome, Session, rows, statement::sql};
use crate::error::{Error, ErrorKind, Result};

/// How one database's tables are made.
pub(in crate::store) struct Schema {
    pub(in crate::store) migrations: &'static [Migration],
    /// Makes the bookkeeping table, where it is missing, and what must be there before it.
    pub(in crate::store) bookkeeping: &'static str,
    /// Finds a table: its name, and its schema or NULL.
    pub(in crate::store) table: &'static str,
    /// The names of its columns.
    pub(in crate::store) columns: &'static str,
}

/// A step from one version of the tables to the next.
#[derive(Debug)]
pub(in crate::store) struct Migration {
    /// Its folder's name.
    pub(in crate::store) name: &'static str,
    pub(in crate::store) up: &'static str,
    /// Whether binaries that do not know it can work on the tables it makes.
    pub(in crate::store) compatible: bool,
    /// The column that is there when it has come to its end, for a database that can't take a
    /// migration back which was cut off.
    pub(in crate::store) leaves: Option<&'static str>,
}

/// What stands in the bookkeeping table.
#[derive(Deserialize)]
struct Applied {
    name: String,
    compatible: Flag,
}

/// The names of the migrations that are missing.
pub(in crate::store) async fn pending<S: Session>(
    s: &mut S,
    schema: &Schema,
) -> Outcome<Vec<String>> {
    let applied = applied(s, schema).await?;
    let missing = missing(schema.migrations, &applied).map_err(Failure::Ours)?;
    Ok(names(&missing))
}

/// Applies what is missing. Whoever calls it sees to it that nobody else does at the same time.
pub(in crate::store) async fn migrate<S: Session>(
    s: &mut S,
    schema: &Schema,
) -> Outcome<Vec<String>> {
    const NOTE: &str = "
        INSERT INTO {table migrations} (name, compatible, applied_at) VALUES (?, ?, {now})";
    let applied = applied(s, schema).await?;
    if applied.is_empty() {
        // Before anything is made: not all databases take it back.
        check_foreign_table(s, schema).await?;
    }
    let missing = missing(schema.migrations, &applied).map_err(Failure::Ours)?;
    s.script(schema.bookkeeping).await?;
    for migration in &missing {
        tracing::info!(migration = migration.name, "upgrading the tables");
        if !is_done(s, schema, migration).await? {
            s.script(migration.up).await?;
        }
        let note = sql(NOTE)
            .text(migration.name)
            .int(i64::from(migration.compatible));
        s.run(note).await?;
    }
    Ok(names(&missing))
}

/// Whether it was applied, and its note is missing.
async fn is_done<S: Session>(s: &mut S, schema: &Schema, migration: &Migration) -> Outcome<bool> {
    let Some(last) = migration.leaves else {
        return Ok(false);
    };
    let columns = columns(s, schema).await?;
    Ok(columns.iter().any(|column| column == last))
}

/// The columns of the programs' table.
async fn columns<S: Session>(s: &mut S, schema: &Schema) -> Outcome<Vec<String>> {
    let (of, table) = s.table_name();
    s.texts(sql(schema.columns).text(table).maybe_text(of))
        .await
}

fn names(migrations: &[&Migration]) -> Vec<String> {
    migrations.iter().map(|m| m.name.to_owned()).collect()
}

async fn applied<S: Session>(s: &mut S, schema: &Schema) -> Outcome<Vec<Applied>> {
    const APPLIED: &str = "
        SELECT {object}('name', name, 'compatible', compatible) FROM {table migrations}";
    if !has_table(s, schema, "_migrations").await? {
        return Ok(Vec::new());
    }
    rows(s, sql(APPLIED)).await
}

async fn has_table<S: Session>(s: &mut S, schema: &Schema, suffix: &str) -> Outcome<bool> {
    let (of, table) = s.table_name();
    let found = sql(schema.table)
        .text(format!("{table}{suffix}"))
        .maybe_text(of);
    Ok(!s.texts(found).await?.is_empty())
}

/// A table of this name that is not ours must be program-executor's, or it is left alone.
async fn check_foreign_table<S: Session>(s: &mut S, schema: &Schema) -> Outcome<()> {
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
    if !has_table(s, schema, "").await? {
        return Ok(());
    }
    let (_, table) = s.table_name();
    let columns = columns(s, schema).await?;
    match NEEDED
        .iter()
        .find(|needed| !columns.iter().any(|column| column == **needed))
    {
        None => Ok(()),
        Some(missing) => Err(Failure::Ours(Error::new(
            ErrorKind::Configuration,
            format!(
                "the database has a table {table:?} that is neither ours nor program-executor's \
                 (it has no column {missing:?}); choose another name with EXECUTOR_TABLE"
            ),
        ))),
    }
}

/// The migrations that are missing.
///
/// # Errors
/// The tables are newer than this binary, and not for it.
fn missing<'a>(known: &'a [Migration], applied: &[Applied]) -> Result<Vec<&'a Migration>> {
    for row in applied {
        if !row.compatible.0 && !known.iter().any(|migration| migration.name == row.name) {
            return Err(Error::new(
                ErrorKind::NewerSchema,
                format!(
                    "the tables were upgraded by a newer version of executor (migration {:?}), \
                     which this one (version {}) must not write to; deploy the newer version",
                    row.name,
                    env!("CARGO_PKG_VERSION"),
                ),
            ));
        }
    }
    Ok(known
        .iter()
        .filter(|m| !applied.iter().any(|row| row.name == m.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Migration; 2] = [
        Migration {
            name: "1",
            up: "",
            compatible: false,
            leaves: None,
        },
        Migration {
            name: "2",
            up: "",
            compatible: false,
            leaves: None,
        },
    ];

    fn applied(name: &str, compatible: bool) -> Applied {
        Applied {
            name: name.to_owned(),
            compatible: Flag(compatible),
        }
    }

    #[test]
    fn what_is_missing_is_pending() {
        let missing = missing(&KNOWN, &[applied("1", false)]).expect("nothing newer");
        assert_eq!(missing.iter().map(|m| m.name).collect::<Vec<_>>(), ["2"]);
    }

    #[test]
    fn a_newer_version_is_refused_where_it_would_do_harm() {
        let all = [applied("1", false), applied("2", false)];
        let newer = |compatible| {
            let mut rows = all
                .iter()
                .map(|r| applied(&r.name, r.compatible.0))
                .collect::<Vec<_>>();
            rows.push(applied("3", compatible));
            missing(&KNOWN, &rows).map(|p| p.len())
        };
        assert_eq!(newer(true).expect("compatible"), 0);
        assert_eq!(
            newer(false).expect_err("not for us").kind(),
            ErrorKind::NewerSchema
        );
    }
}
