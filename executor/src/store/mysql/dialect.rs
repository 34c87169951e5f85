//! MySQL's words, and its tables.

use diesel::{
    QueryResult,
    mysql::Mysql,
    query_builder::AstPass,
    sql_types::{BigInt, Nullable, Text},
};

use crate::store::sql::{
    dialect::Dialect,
    schema::{Migration, Schema},
    statement::{Takes, Value, unsupported},
};

pub(super) static DIALECT: Dialect = Dialect {
    quote: '`',
    now: "UTC_TIMESTAMP(3)",
    now_ms: "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
    now_text: "CAST(UTC_TIMESTAMP(3) AS CHAR)",
    ms: "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {}) DIV 1000)",
    object: "JSON_OBJECT",
    text: "CHAR",
    json: "{?}",
    greatest: "GREATEST",
    job: "COALESCE(JSON_UNQUOTE(JSON_EXTRACT(jobs, CONCAT('$[', {step}, ']'))), job)",
    // What somebody has spoilt by hand is begun anew.
    history:
        "JSON_ARRAY_APPEND(CASE WHEN COALESCE(JSON_TYPE(errors), '') <> 'ARRAY' THEN JSON_ARRAY()
                WHEN JSON_LENGTH(errors) < 20 THEN errors
                ELSE JSON_REMOVE(errors, '$[0]') END,
              '$', JSON_SET(?, '$.at', {now_text}))",
    locked: " FOR UPDATE",
    unlocked: " FOR UPDATE SKIP LOCKED",
    index: " FORCE INDEX ({})",
    available: "{index wake} WHERE wake_queue > ''",
    claimable: "{index wake} WHERE wake_queue = ? AND wake_job = ?",
    in_order: "ORDER BY wake_at, id",
    insert: "INSERT IGNORE",
    absent: "",
    dormant: "{index wake} WHERE wake_queue = ''",
    delayed: "{index wake} WHERE wake_queue = '' AND wake_job = ''",
    claimed: "{index wake} WHERE wake_queue = '' AND wake_job = 'claimed'",
    due: "wake_at",
    unfinished: "{index wake} WHERE wake_queue >= ''",
    by_key: " FORCE INDEX (PRIMARY)",
    delete: "DELETE p FROM {t} p FORCE INDEX (PRIMARY)",
    position: "INSTR",
    reserve: "INSERT INTO {table unique} (unique_key, run_id, held_until)
              VALUES (?, ?, {now_ms} + ?)
              ON DUPLICATE KEY UPDATE
                run_id = IF(held_until <= {now_ms}, VALUES(run_id), run_id),
                held_until = IF(held_until <= {now_ms}, VALUES(held_until), held_until)",
    holds: "held_key = UNHEX(SHA2(?, 256))",
};

macro_rules! migration {
    ($name:literal, $leaves:expr) => {
        Migration {
            name: $name,
            up: include_str!(concat!("../../../../migrations/mysql/", $name, "/up.sql")),
            compatible: false,
            leaves: $leaves,
        }
    };
}

/// A change of a table commits by itself: each statement can be run again, or is the last one of its
/// migration.
pub(super) static SCHEMA: Schema = Schema {
    migrations: &[
        migration!("2026-11-24-000001_programs", None),
        migration!("2026-11-24-000002_engine", Some("wake_at")),
        migration!("2026-11-25-000003_schedules", None),
        migration!("2026-11-25-000004_unique", None),
        migration!("2026-11-25-000005_limits", None),
        migration!("2026-11-25-000006_retention", None),
        migration!("2026-11-25-000007_interop", Some("shared_keys")),
        migration!("2026-11-25-000008_waits", None),
        migration!("2026-11-30-000009_claims", None),
    ],
    bookkeeping: "
        CREATE TABLE IF NOT EXISTS {table migrations} (
          name VARCHAR(191) NOT NULL PRIMARY KEY,
          compatible INT NOT NULL,
          applied_at DATETIME(3) NOT NULL
        ) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    table: "SELECT CAST(table_name AS CHAR) FROM information_schema.tables
            WHERE table_name = ? AND table_schema = ?",
    columns: "SELECT CAST(column_name AS CHAR) FROM information_schema.columns
              WHERE table_name = ? AND table_schema = ?",
};

impl Takes for Mysql {
    fn push<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        match value {
            Value::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Value::Ints(_) | Value::Texts(_) => unsupported(value),
        }
    }
}
