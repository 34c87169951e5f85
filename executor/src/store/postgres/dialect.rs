//! PostgreSQL's words, and its tables.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::AstPass,
    sql_types::{Array, BigInt, Nullable, Text},
};

use crate::store::sql::{
    dialect::Dialect,
    schema::{Migration, Schema},
    statement::{Takes, Value},
};

pub(super) static DIALECT: Dialect = Dialect {
    quote: '"',
    now: "statement_timestamp()",
    now_ms: "floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint",
    now_text: "to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')",
    ms: "floor(extract(epoch FROM {}) * 1000)::bigint",
    object: "json_build_object",
    text: "text",
    json: "{?}::jsonb",
    greatest: "greatest",
    job: "COALESCE(jobs ->> {step}, job)",
    // What somebody has spoilt by hand is begun anew.
    history: "(CASE WHEN jsonb_typeof(errors) IS DISTINCT FROM 'array' THEN '[]'::jsonb
                 WHEN jsonb_array_length(errors) < 20 THEN errors ELSE errors - 0 END)
              || (jsonb_build_object('at', {now_text}) || ?::jsonb)",
    locked: " FOR UPDATE",
    unlocked: " FOR UPDATE SKIP LOCKED",
    index: "",
    available: " WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL",
    claimable: " WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL AND queue = ?
                  AND job = ?",
    in_order: "ORDER BY order_key, id",
    insert: "INSERT",
    absent: " ON CONFLICT DO NOTHING",
    dormant: " WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL",
    delayed: " WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL
                AND CASE WHEN lease_until IS NOT NULL OR available_at = busy_until THEN 1 ELSE 0 END = 0",
    claimed: " WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL
                AND CASE WHEN lease_until IS NOT NULL OR available_at = busy_until THEN 1 ELSE 0 END = 1",
    due: "COALESCE(lease_until, available_at)",
    // The two indexes of unfinished programs together hold them, and no others.
    unfinished: " WHERE id IN (SELECT id FROM {t} WHERE ready = 1 AND finished_at IS NULL
                   AND errored_at IS NULL UNION ALL SELECT id FROM {t} WHERE ready = 0
                   AND finished_at IS NULL AND errored_at IS NULL)",
    by_key: "",
    delete: "DELETE FROM {t}",
    position: "strpos",
    reserve: "INSERT INTO {table unique} AS u (unique_key, run_id, held_until)
              VALUES (?, ?, {now_ms} + ?)
              ON CONFLICT (unique_key) DO UPDATE SET run_id = excluded.run_id,
                held_until = excluded.held_until WHERE u.held_until <= {now_ms}",
    holds: "unique_key = ? AND finished_at IS NULL AND errored_at IS NULL",
};

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            up: include_str!(concat!("../../../migrations/postgres/", $name, "/up.sql")),
            compatible: false,
            leaves: None,
        }
    };
}

pub(super) static SCHEMA: Schema = Schema {
    migrations: &[
        migration!("2026-11-24-000001_programs"),
        migration!("2026-11-24-000002_engine"),
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
          name text PRIMARY KEY,
          compatible integer NOT NULL,
          applied_at timestamptz NOT NULL
        )",
    // Without a schema's name, what statements would find: by the search path.
    table: "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relname = ? AND COALESCE(n.nspname = ?, pg_table_is_visible(c.oid))",
    columns: "SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
              JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relname = ? AND COALESCE(n.nspname = ?, pg_table_is_visible(c.oid))
                AND a.attnum > 0 AND NOT a.attisdropped",
};

impl Takes for Pg {
    fn push<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        match value {
            Value::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Value::Ints(values) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(values),
            Value::Texts(values) => out.push_bind_param::<Array<Nullable<Text>>, _>(values),
        }
    }
}
