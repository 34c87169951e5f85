//! A verb's transaction on the file.

use diesel::{
    QueryResult, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    query_builder::AstPass,
    query_dsl::methods::LoadQuery,
    result::Error as DieselError,
    sql_types::{BigInt, Nullable, Text},
    sqlite::Sqlite,
};

use super::text::Lossy;
use crate::store::sql::{
    Failure, Outcome, Session,
    dialect::Dialect,
    statement::{Filled, Statement, Takes, Texts, Value, sql, unsupported},
};

pub(super) static DIALECT: Dialect = Dialect {
    quote: '"',
    now: "strftime('%Y-%m-%d %H:%M:%f', 'now')",
    now_ms: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    now_text: "strftime('%Y-%m-%d %H:%M:%f', 'now')",
    // Text in UTC, or the milliseconds that JavaScript writes.
    ms: "CASE typeof({}) WHEN 'integer' THEN {} WHEN 'real' THEN CAST({} AS INTEGER)
           ELSE CAST(unixepoch({}, 'subsec') * 1000 AS INTEGER) END",
    object: "json_object",
    text: "TEXT",
    json: "{?}",
    greatest: "MAX",
    // What somebody has spoilt by hand keeps its job, and is errored where it is run.
    job: "COALESCE(CASE WHEN json_valid(jobs) THEN
            json_extract(jobs, '$[' || {step} || ']') END, job)",
    history: "json_insert(CASE WHEN NOT json_valid(errors) THEN '[]'
                WHEN json_type(errors) <> 'array' THEN '[]'
                WHEN json_array_length(errors) < 20 THEN errors
                ELSE json_remove(errors, '$[0]') END,
              '$[#]', json_set(?, '$.at', {now_text}))",
    locked: "",
    unlocked: "",
    index: " INDEXED BY {}",
    available: " INDEXED BY {name ready} WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL",
    claimable: " INDEXED BY {name ready} WHERE ready = 1 AND finished_at IS NULL
                  AND errored_at IS NULL AND queue = ? AND job = ?",
    in_order: "ORDER BY order_key, id",
    insert: "INSERT",
    absent: " ON CONFLICT DO NOTHING",
    dormant: " INDEXED BY {name due} WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL",
    delayed: " INDEXED BY {name due} WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL
                AND CASE WHEN lease_until IS NOT NULL OR available_at = busy_until THEN 1 ELSE 0 END = 0",
    claimed: " INDEXED BY {name due} WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL
                AND CASE WHEN lease_until IS NOT NULL OR available_at = busy_until THEN 1 ELSE 0 END = 1",
    due: "COALESCE(lease_until, available_at)",
    // The two indexes of unfinished programs together hold them, and no others.
    unfinished: " WHERE id IN (SELECT id FROM {t} WHERE ready = 1 AND finished_at IS NULL
                   AND errored_at IS NULL UNION ALL SELECT id FROM {t} WHERE ready = 0
                   AND finished_at IS NULL AND errored_at IS NULL)",
    by_key: " NOT INDEXED",
    delete: "DELETE FROM {t}",
    position: "instr",
    reserve: "INSERT INTO {table unique} AS u (unique_key, run_id, held_until)
              VALUES (?, ?, {now_ms} + ?)
              ON CONFLICT (unique_key) DO UPDATE SET run_id = excluded.run_id,
                held_until = excluded.held_until WHERE u.held_until <= {now_ms}",
    holds: "unique_key = ? AND finished_at IS NULL AND errored_at IS NULL",
};

/// One connection in one transaction. It never waits: a statement has run when its future is made.
pub(super) struct SqliteSession<'a> {
    conn: &'a mut SqliteConnection,
    texts: &'a Texts,
    /// The database's clock, read once a transaction.
    pub(super) now: i64,
}

impl<'a> SqliteSession<'a> {
    pub(super) fn new(conn: &'a mut SqliteConnection, texts: &'a Texts) -> Outcome<Self> {
        let mut session = Self {
            conn,
            texts,
            now: 0,
        };
        let now = session.rows::<BigInt, i64>(sql("SELECT {now_ms}"))?;
        session.now = now.into_iter().next().ok_or(DieselError::NotFound)?;
        Ok(session)
    }

    /// Runs a statement; how many rows it touched.
    pub(super) fn execute(&mut self, statement: Statement<'_>) -> Outcome<usize> {
        Ok(statement.filled::<()>(self.texts).execute(self.conn)?)
    }

    /// Runs a statement; its rows, as tuples of these SQL types.
    pub(super) fn rows<'q, 's, ST, T>(&mut self, statement: Statement<'s>) -> Outcome<Vec<T>>
    where
        Filled<'s, ST>: LoadQuery<'q, SqliteConnection, T>,
    {
        Ok(statement.filled::<ST>(self.texts).load(self.conn)?)
    }
}

impl Session for SqliteSession<'_> {
    fn run(&mut self, statement: Statement<'_>) -> impl Future<Output = Outcome<usize>> + Send {
        std::future::ready(self.execute(statement))
    }

    fn texts(
        &mut self,
        statement: Statement<'_>,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send {
        let rows = self.rows::<Text, Lossy>(statement);
        std::future::ready(rows.map(|rows| rows.into_iter().map(|row| row.0).collect()))
    }

    fn script(&mut self, template: &str) -> impl Future<Output = Outcome<()>> + Send {
        let done = self.conn.batch_execute(&self.texts.fill(template));
        std::future::ready(done.map_err(Failure::from))
    }

    fn table_name(&self) -> (Option<String>, String) {
        (None, self.texts.names().bare().to_owned())
    }
}

impl Takes for Sqlite {
    fn push<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        match value {
            Value::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Value::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Value::Ints(_) | Value::Texts(_) => unsupported(value),
        }
    }
}

/// The result of a verb over a session that never waits.
pub(super) fn at_once<T>(verb: impl Future<Output = T>) -> T {
    let mut verb = std::pin::pin!(verb);
    let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
    match verb.as_mut().poll(&mut nobody) {
        std::task::Poll::Ready(done) => done,
        // Verbs wait for their session's statements alone, and those have run by then.
        std::task::Poll::Pending => unreachable!("a verb waits for something beside its session"),
    }
}
