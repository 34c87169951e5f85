//! The store on PostgreSQL (14 and newer).
//!
//! Writes go as arrays: one statement for all programs that take the same arrow. The plans of the
//! engine's statements must not depend on statistics: a statement that is prepared on an empty
//! table would keep a plan that walks the whole table. So each transaction of the engine rules out
//! what only pays with small tables; what is left are the indexes.

mod claim;
mod commit;
mod connect;
mod create;
mod dialect;
mod hear;
mod heartbeat;
mod promote;
mod prune;

use std::{sync::Arc, time::Duration};

use diesel::{
    QueryResult,
    query_dsl::CompatibleType,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::Text,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::{join, try_join_all};
use tokio::sync::watch;

use self::connect::Server;
use super::{
    ClaimRequest, Claimed, Ended, Held, NewProgram, ProgramState, Pulse, StepWrite, WorkerId,
    server::{
        Begin, Database, Inner, Purpose, ServerSession, ServerStore, Straight, Whose, kind_of,
    },
    sql::{
        Outcome, Session,
        schema::Schema,
        statement::{Filled, Statement, Texts, sql},
    },
};
use crate::{
    config::Config,
    error::{Error, Result},
};

/// PostgreSQL's connection, for a job's [`Tx`](crate::Tx).
pub type Pg = AsyncPgConnection;

impl crate::job::sealed::Sealed for Pg {}

impl crate::TxConnection for Pg {
    const STORE: &'static str = Postgres::NAME;
}

type PgSession = ServerSession<Postgres>;

/// A PostgreSQL server, and how it is reached.
#[derive(Clone)]
pub(super) struct Postgres {
    server: Arc<Server>,
    /// How long the engine waits for a statement.
    deadline: Duration,
    /// The channel on which workers are told that something may be due.
    channel: Arc<str>,
    /// Tells this store's own messages.
    id: uuid::Uuid,
}

/// The store at the URL of the configuration. It connects when it must.
pub(super) fn open(config: &Config) -> Result<ServerStore<Postgres>> {
    let lease = config.worker.lease;
    let schema = config.schema.as_deref();
    let texts =
        Texts::new(&dialect::DIALECT, schema, &config.table).with_interop(config.interop.is_some());
    let place = format!("{}.{}", schema.unwrap_or_default(), config.table.as_str());
    let channel = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, place.as_bytes());
    let database = Postgres {
        server: Arc::new(Server::new(config)?),
        deadline: (lease / 3).max(Duration::from_millis(500)),
        channel: format!("executor_{}", channel.simple()).into(),
        id: uuid::Uuid::new_v4(),
    };
    Ok(ServerStore::new(Arc::new(database), texts, lease))
}

impl Database for Postgres {
    type Conn = AsyncPgConnection;

    const NAME: &'static str = "PostgreSQL";
    const SCHEMA: &'static Schema = &dialect::SCHEMA;
    const SLOW_POLL: Duration = Duration::from_secs(5);
    const CLOSES_OVER_LARGE_VALUES: bool = false;

    async fn connect(&self, _purpose: Purpose) -> Result<AsyncPgConnection> {
        self.server.connect().await
    }

    async fn ping(conn: &mut AsyncPgConnection) -> QueryResult<()> {
        conn.batch_execute("").await
    }

    fn begin(&self, begin: Begin) -> Option<String> {
        // A process that freezes within a transaction must not keep its locks.
        let deadline = self.deadline.as_millis();
        Some(match begin {
            Begin::Alone => return None,
            Begin::Engine => format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL enable_seqscan = off; \
                 SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
                 SET LOCAL jit = off; SET LOCAL idle_in_transaction_session_timeout = {deadline}"
            ),
            Begin::Completion => {
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; \
                                  SET LOCAL enable_mergejoin = off; SET LOCAL jit = off"
                    .to_owned()
            }
            Begin::Look => "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL jit = off".to_owned(),
            Begin::Migration => "BEGIN ISOLATION LEVEL READ COMMITTED".to_owned(),
        })
    }

    async fn lock_migrations(s: &mut PgSession) -> Outcome<()> {
        // A key of our own; one migration at a time in a database is enough.
        s.texts(sql("SELECT pg_advisory_xact_lock(7310593857325)::text"))
            .await?;
        if let (Some(_), _) = s.table_name() {
            s.script("CREATE SCHEMA IF NOT EXISTS {schema}").await?;
        }
        Ok(())
    }

    async fn execute(
        conn: &mut AsyncPgConnection,
        begin: Option<String>,
        statement: Filled<'_, ()>,
    ) -> QueryResult<usize> {
        let conn = &*conn;
        piped(conn, begin, RunQueryDsl::execute(statement, &mut &*conn)).await
    }

    async fn texts(
        conn: &mut AsyncPgConnection,
        begin: Option<String>,
        statement: Filled<'_, Text>,
    ) -> QueryResult<Vec<String>> {
        let conn = &*conn;
        piped(conn, begin, RunQueryDsl::load(statement, &mut &*conn)).await
    }

    async fn insert<S: Session>(
        s: &mut S,
        programs: &[&NewProgram],
        absent: bool,
    ) -> Outcome<Vec<String>> {
        create::insert(s, programs, absent).await
    }

    async fn claim(s: &mut PgSession, request: &ClaimRequest, look: bool) -> Outcome<Claimed> {
        claim::claim(s, request, look).await
    }

    async fn commit(s: &mut PgSession, writes: &[StepWrite], last: bool) -> Outcome<Vec<Straight>> {
        commit::commit(s, writes, last).await
    }

    async fn heartbeat(
        s: &mut PgSession,
        worker: WorkerId,
        lease: Duration,
        held: &[Held],
    ) -> Outcome<Vec<Pulse>> {
        heartbeat::heartbeat(s, worker, lease, held).await
    }

    async fn prunable(s: &mut PgSession, ended: &Ended, limit: usize) -> Outcome<Vec<i64>> {
        prune::prunable(s, ended, limit).await
    }

    async fn count_ended(s: &mut PgSession, ended: &Ended) -> Outcome<i64> {
        prune::count(s, ended).await
    }

    async fn queue_of_ended(
        s: &mut PgSession,
        state: ProgramState,
        after: &str,
    ) -> Outcome<Option<String>> {
        prune::queue(s, state, after).await
    }

    async fn can_hold(s: &mut PgSession, json: &[&str], texts: &[&str]) -> Outcome<()> {
        const HOLD: &str = "
            SELECT (SELECT count(value::jsonb) FROM unnest(?) AS j (value))::text
              || (SELECT count(value) FROM unnest(?) AS t (value))::text";
        let hold = sql(HOLD)
            .texts(json.iter().map(|text| Some((*text).into())))
            .texts(texts.iter().map(|text| Some((*text).into())));
        s.texts(hold).await.map(drop)
    }

    async fn durability_warning(s: &mut PgSession) -> Outcome<Option<String>> {
        const SETTINGS: &str = "
            SELECT name FROM pg_settings
            WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off' ORDER BY name";
        let off = s.texts(sql(SETTINGS)).await?;
        Ok((!off.is_empty()).then(|| {
            format!(
                "PostgreSQL runs with {} = off: what it has committed may be gone after a crash of the \
                 server, and steps run again; set it to on, for the server or the login",
                off.join(" and ")
            )
        }))
    }

    fn explain(&self, error: DieselError) -> Error {
        let away = matches!(
            &error,
            DieselError::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection,
                _
            )
        );
        let message = match &error {
            DieselError::DatabaseError(_, info) => info.message().to_owned(),
            DieselError::QueryBuilderError(inner) => inner.to_string(),
            other => other.to_string(),
        };
        let advice = match &error {
            DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, _) => {
                "; the connection is lost"
            }
            DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => {
                "; it is a standby, or set to read only: connect to the primary, or look at \
                 default_transaction_read_only"
            }
            DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => {
                "; the transaction reads as of its beginning, and another one has changed this since: \
                 begin it again, or run it at READ COMMITTED"
            }
            _ => "",
        };
        Error::new(
            kind_of(&error),
            format!("the database {}: {message}{advice}", self.server),
        )
        .away_if(away)
    }

    async fn insert_and_ring(
        s: &mut PgSession,
        store: &Inner<Self>,
        programs: &[&NewProgram],
    ) -> Outcome<Vec<String>> {
        create::insert_and_ring(s, store, programs).await
    }

    async fn ring<S: Session>(s: &mut S, store: &Inner<Self>, whose: Whose) -> Outcome<()> {
        hear::ring(s, store, whose).await
    }

    async fn hear(store: Arc<Inner<Self>>, bell: watch::Sender<u64>) {
        hear::hear(&store, &bell).await;
    }
}

impl PgSession {
    /// Runs two statements, each a transaction by itself: both go to the server at once.
    async fn side_by_side(
        &mut self,
        first: Statement<'_>,
        second: Statement<'_>,
    ) -> (QueryResult<Vec<String>>, QueryResult<Vec<String>>) {
        let (conn, texts, _) = self.parts();
        let conn = &*conn;
        let (mut this, mut same) = (conn, conn);
        join(
            RunQueryDsl::load(first.filled::<diesel::sql_types::Text>(texts), &mut this),
            RunQueryDsl::load(second.filled::<diesel::sql_types::Text>(texts), &mut same),
        )
        .await
    }

    /// Runs a statement; its rows, as tuples of these SQL types.
    async fn rows<ST, T>(&mut self, statement: Statement<'_>) -> Outcome<Vec<T>>
    where
        ST: CompatibleType<T, diesel::pg::Pg> + Send + 'static,
        T: diesel::deserialize::FromSqlRow<
                <ST as CompatibleType<T, diesel::pg::Pg>>::SqlType,
                diesel::pg::Pg,
            > + Send
            + 'static,
        diesel::pg::Pg: diesel::expression::QueryMetadata<ST>,
    {
        let (conn, texts, begin) = self.parts();
        let conn = &*conn;
        let statement = statement.filled::<ST>(texts);
        Ok(piped(conn, begin, RunQueryDsl::load(statement, &mut &*conn)).await?)
    }

    /// Runs statements, the last ones of their transaction: all go to the server at once, and what
    /// ends the transaction with them.
    ///
    /// A statement that is not prepared yet runs behind the transaction, and by itself: each must be
    /// one that can.
    async fn last_rows<ST, T>(&mut self, statements: Vec<Statement<'_>>) -> Outcome<Vec<Vec<T>>>
    where
        ST: CompatibleType<T, diesel::pg::Pg> + Send + 'static,
        T: diesel::deserialize::FromSqlRow<
                <ST as CompatibleType<T, diesel::pg::Pg>>::SqlType,
                diesel::pg::Pg,
            > + Send
            + 'static,
        diesel::pg::Pg: diesel::expression::QueryMetadata<ST>,
    {
        let (conn, texts, begin) = self.parts();
        let conn = &*conn;
        let all = statements.into_iter().map(|statement| {
            let statement = statement.filled::<ST>(texts);
            async move { RunQueryDsl::load(statement, &mut &*conn).await }
        });
        let (mut this, commit) = (conn, "COMMIT");
        let work = join(try_join_all(all), this.batch_execute(commit));
        let (rows, ended) = piped(conn, begin, async {
            let (rows, ended) = work.await;
            Ok((rows?, ended?))
        })
        .await?;
        let () = ended;
        self.has_ended();
        Ok(rows)
    }
}

/// Sends what begins the transaction and the first statement in one go.
async fn piped<T>(
    conn: &AsyncPgConnection,
    begin: Option<String>,
    work: impl Future<Output = QueryResult<T>>,
) -> QueryResult<T> {
    match begin {
        None => work.await,
        Some(begin) => {
            let mut this = conn;
            let (begun, done) = join(this.batch_execute(&begin), work).await;
            begun?;
            done
        }
    }
}

#[cfg(test)]
mod tests;
