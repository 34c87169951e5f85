//! The store on MySQL (8.0.16 and newer) and MariaDB (10.6 and newer).
//!
//! Writes go as one JSON text, which `JSON_TABLE` unfolds and joins with the programs by their key:
//! one statement for all that take the same arrow. There is no partial index; what a program waits
//! for stands in generated columns (`wake_queue`, `wake_job`, `wake_at`), which are NULL when it has
//! ended, under one index: so the ended ones lie apart from all that a claim walks over. Joins have
//! their order and their indexes from the statement, and none of the plans depends on statistics.
//!
//! Nobody is told that something is due: an idle worker looks five times a second, by one statement.

mod claim;
mod commit;
mod connect;
mod create;
mod dialect;
mod heartbeat;
mod promote;
mod prune;
mod read;
mod rows;

use std::{sync::Arc, time::Duration};

use diesel::{
    QueryResult,
    query_dsl::CompatibleType,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::Text,
};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::sync::watch;

use self::{
    connect::Server,
    rows::{texts, words},
};
use super::{
    ClaimRequest, Claimed, Ended, Held, NewProgram, ProgramState, Pulse, StepWrite, WorkerId,
    server::{
        Begin, Database, Inner, Purpose, ServerSession, ServerStore, Straight, Whose, kind_of,
    },
    sql::{
        Outcome, Session, invalid,
        schema::Schema,
        statement::{Filled, Statement, Texts, sql},
    },
};
use crate::{
    config::Config,
    error::{Error, ErrorKind, Result},
};

/// MySQL's and MariaDB's connection, for a job's [`Tx`](crate::Tx).
pub type MySql = AsyncMysqlConnection;

impl crate::job::sealed::Sealed for MySql {}

impl crate::TxConnection for MySql {
    const STORE: &'static str = MySqlServer::NAME;
}

type MySession = ServerSession<MySqlServer>;

/// A MySQL or MariaDB server, and how it is reached.
#[derive(Clone)]
pub(super) struct MySqlServer(Arc<Server>);

/// The store at the URL of the configuration. It connects when it must.
pub(super) fn open(config: &Config) -> Result<ServerStore<MySqlServer>> {
    let lease = config.worker.lease;
    let server = Server::new(config, (lease / 3).max(Duration::from_millis(500)))?;
    // Always by the whole name: the connection of an application may be in another database.
    let schema = config.schema.as_deref().unwrap_or(server.database());
    let names = [schema, config.table.as_str()];
    if let Some(name) = names.iter().find(|name| name.contains(|c| c > '\u{ffff}')) {
        return Err(Error::new(
            ErrorKind::Configuration,
            format!("MySQL takes no characters beyond U+FFFF in a name such as {name:?}"),
        ));
    }
    let texts = Texts::new(&dialect::DIALECT, Some(schema), &config.table)
        .with_interop(config.interop.is_some());
    let database = MySqlServer(Arc::new(server));
    Ok(ServerStore::new(Arc::new(database), texts, lease))
}

impl Database for MySqlServer {
    type Conn = AsyncMysqlConnection;

    const NAME: &'static str = "MySQL";
    const SCHEMA: &'static Schema = &dialect::SCHEMA;
    const SLOW_POLL: Duration = Duration::from_millis(200);
    const CLOSES_OVER_LARGE_VALUES: bool = true;

    async fn connect(&self, purpose: Purpose) -> Result<AsyncMysqlConnection> {
        self.0.connect(purpose).await
    }

    async fn ping(conn: &mut AsyncMysqlConnection) -> QueryResult<()> {
        conn.batch_execute("DO 0").await
    }

    fn begin(&self, begin: Begin) -> Option<String> {
        match begin {
            Begin::Engine => Some("START TRANSACTION".to_owned()),
            // Each statement reads what is committed.
            Begin::Look | Begin::Alone | Begin::Completion => None,
            // A change of a table commits by itself.
            Begin::Migration => None,
        }
    }

    async fn lock_migrations(s: &mut MySession) -> Outcome<()> {
        // The lock goes with the connection, at which point nobody else can have got it before.
        s.retires();
        let (database, table) = s.table_name();
        let place = format!("{}.{table}", database.unwrap_or_default());
        let place = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, place.as_bytes());
        let lock = sql("SELECT CAST(GET_LOCK(?, 31536000) AS CHAR)");
        s.texts(lock.text(format!("executor_{}", place.simple())))
            .await?;
        s.script("CREATE DATABASE IF NOT EXISTS {schema}").await
    }

    async fn execute(
        conn: &mut AsyncMysqlConnection,
        begin: Option<String>,
        statement: Filled<'_, ()>,
    ) -> QueryResult<usize> {
        begun(conn, begin).await?;
        RunQueryDsl::execute(statement, conn).await
    }

    async fn texts(
        conn: &mut AsyncMysqlConnection,
        begin: Option<String>,
        statement: Filled<'_, Text>,
    ) -> QueryResult<Vec<String>> {
        begun(conn, begin).await?;
        RunQueryDsl::load(statement, conn).await
    }

    async fn insert<S: Session>(
        s: &mut S,
        programs: &[&NewProgram],
        absent: bool,
    ) -> Outcome<Vec<String>> {
        create::insert(s, programs, absent).await
    }

    async fn claim(s: &mut MySession, request: &ClaimRequest, look: bool) -> Outcome<Claimed> {
        claim::claim(s, request, look).await
    }

    async fn commit(s: &mut MySession, writes: &[StepWrite], last: bool) -> Outcome<Vec<Straight>> {
        commit::commit(s, writes, last).await
    }

    async fn heartbeat(
        s: &mut MySession,
        worker: WorkerId,
        lease: Duration,
        held: &[Held],
    ) -> Outcome<Vec<Pulse>> {
        heartbeat::heartbeat(s, worker, lease, held).await
    }

    async fn prunable(s: &mut MySession, ended: &Ended, limit: usize) -> Outcome<Vec<i64>> {
        prune::prunable(s, ended, limit).await
    }

    async fn count_ended(s: &mut MySession, ended: &Ended) -> Outcome<i64> {
        prune::count(s, ended).await
    }

    async fn queue_of_ended(
        s: &mut MySession,
        state: ProgramState,
        after: &str,
    ) -> Outcome<Option<String>> {
        prune::queue(s, state, after).await
    }

    async fn can_hold(s: &mut MySession, json: &[&str], plain: &[&str]) -> Outcome<()> {
        const BAD: &str = "
            SELECT CAST(COUNT(*) AS CHAR)
            FROM JSON_TABLE(?, '$[*]' COLUMNS (
              word LONGTEXT CHARACTER SET utf8mb4 PATH '$[0]')) j
            WHERE NOT COALESCE(JSON_VALID(word), 0)";
        const HOLD: &str = concat!("SELECT CAST(COUNT(*) AS CHAR) FROM ", words!("t"));
        s.texts(sql(HOLD).text(texts(plain))).await?;
        let bad = s.texts(sql(BAD).text(texts(json))).await?;
        if bad.iter().all(|number| number == "0") {
            return Ok(());
        }
        Err(invalid(
            "the database takes no such JSON (it may be nested too deeply, or have a number that is \
             too large)",
        ))
    }

    async fn durability_warning(s: &mut MySession) -> Outcome<Option<String>> {
        // Without a binary log its setting means nothing.
        const SETTINGS: &str = "
            SELECT CONCAT('innodb_flush_log_at_trx_commit = ', @@innodb_flush_log_at_trx_commit)
            FROM DUAL WHERE @@innodb_flush_log_at_trx_commit <> 1
            UNION ALL
            SELECT CONCAT('sync_binlog = ', @@sync_binlog)
            FROM DUAL WHERE @@log_bin = 1 AND @@sync_binlog <> 1";
        let weak = s.texts(sql(SETTINGS)).await?;
        Ok((!weak.is_empty()).then(|| {
            format!(
                "the server runs with {}: what it has committed may be gone after a crash of its \
                 machine, and steps run again; set it to 1 in the server's configuration",
                weak.join(" and ")
            )
        }))
    }

    fn gives_way(error: &DieselError) -> bool {
        // Diesel keeps the words only: those of a deadlock, and of a lock that was waited for too
        // long. The connection asks for them in English.
        matches!(error, DieselError::DatabaseError(_, info)
            if info.message().contains("try restarting transaction"))
    }

    fn explain(&self, error: DieselError) -> Error {
        let message = match &error {
            DieselError::DatabaseError(_, info) => info.message().to_owned(),
            DieselError::QueryBuilderError(inner) => inner.to_string(),
            other => other.to_string(),
        };
        let says = |words: &str| message.contains(words);
        let read_only = matches!(
            error,
            DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)
        );
        let advice = if read_only || says("read-only") || says("read_only") {
            "; it is a replica: connect to the primary"
        } else if says("max_allowed_packet") || says("acket too large") {
            "; the server's max_allowed_packet is too small for it"
        } else if says("Input/output error") || says("onnection to the server is closed") {
            "; the connection is lost"
        } else {
            ""
        };
        // MariaDB's refusal by a check has a number of its own, which diesel does not know.
        let refused = says("CONSTRAINT `") && says("` failed for `");
        let kind = if refused {
            ErrorKind::InvalidData
        } else {
            kind_of(&error)
        };
        Error::new(kind, format!("the database {}: {message}{advice}", self.0))
    }

    async fn ring<S: Session>(_: &mut S, _: &Inner<Self>, _: Whose) -> Outcome<()> {
        // The others look by themselves.
        Ok(())
    }

    async fn hear(_: Arc<Inner<Self>>, _: watch::Sender<u64>) {
        std::future::pending::<()>().await;
    }
}

impl MySession {
    /// Runs a statement; its rows, as tuples of these SQL types.
    async fn rows<ST, T>(&mut self, statement: Statement<'_>) -> Outcome<Vec<T>>
    where
        ST: CompatibleType<T, diesel::mysql::Mysql> + Send + 'static,
        T: diesel::deserialize::FromSqlRow<
                <ST as CompatibleType<T, diesel::mysql::Mysql>>::SqlType,
                diesel::mysql::Mysql,
            > + Send
            + 'static,
        diesel::mysql::Mysql: diesel::expression::QueryMetadata<ST>,
    {
        let (conn, texts, begin) = self.parts();
        begun(conn, begin).await?;
        Ok(RunQueryDsl::load(statement.filled::<ST>(texts), conn).await?)
    }

    /// The same before the transaction begins, in none.
    async fn rows_before<ST, T>(&mut self, statement: Statement<'_>) -> Outcome<Vec<T>>
    where
        ST: CompatibleType<T, diesel::mysql::Mysql> + Send + 'static,
        T: diesel::deserialize::FromSqlRow<
                <ST as CompatibleType<T, diesel::mysql::Mysql>>::SqlType,
                diesel::mysql::Mysql,
            > + Send
            + 'static,
        diesel::mysql::Mysql: diesel::expression::QueryMetadata<ST>,
    {
        let (conn, texts) = self.before();
        Ok(RunQueryDsl::load(statement.filled::<ST>(texts), conn).await?)
    }

    /// Runs a text of statements, and ends the transaction in one go with it.
    async fn last_script(&mut self, template: String) -> Outcome<()> {
        self.script(&(template + "COMMIT")).await?;
        self.has_ended();
        Ok(())
    }
}

async fn begun(conn: &mut AsyncMysqlConnection, begin: Option<String>) -> QueryResult<()> {
    match begin {
        Some(begin) => conn.batch_execute(&begin).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
