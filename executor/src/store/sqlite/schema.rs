//! The tables of the SQLite store.

use crate::store::sql::schema::{Migration, Schema};

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            up: include_str!(concat!("../../../migrations/sqlite/", $name, "/up.sql")),
            compatible: false,
            leaves: None,
        }
    };
}

/// The transaction around a migration holds the only lock that writers have.
pub(super) const SCHEMA: Schema = Schema {
    migrations: &[
        migration!("2026-11-22-000001_programs"),
        migration!("2026-11-22-000002_engine"),
        migration!("2026-11-25-000003_schedules"),
        migration!("2026-11-25-000004_unique"),
        migration!("2026-11-25-000005_limits"),
        migration!("2026-11-25-000006_retention"),
        migration!("2026-11-25-000007_interop"),
        migration!("2026-11-25-000008_waits"),
        migration!("2026-11-30-000009_claims"),
    ],
    bookkeeping: "
        CREATE TABLE IF NOT EXISTS {table migrations} (
          name TEXT NOT NULL PRIMARY KEY,
          compatible INTEGER NOT NULL,
          applied_at TEXT NOT NULL
        )",
    table: "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ? AND ? IS NULL",
    columns: "SELECT name FROM pragma_table_info(?) WHERE ? IS NULL",
};
