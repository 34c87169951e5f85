//! What a database server brings.

use std::{sync::Arc, time::Duration};

use diesel_async::AsyncConnection;
use tokio::sync::watch;

use super::{Begin, Inner, Purpose, ServerSession};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        ClaimRequest, Claimed, Ended, Held, NewProgram, ProgramState, Pulse, StepWrite, WorkerId,
        sql::{Outcome, Session, schema::Schema, statement::Filled},
    },
};

/// What a database server brings: connections, and the verbs that must be fast.
pub(in crate::store) trait Database: Send + Sync + Sized + 'static {
    type Conn: AsyncConnection + Send + 'static;

    const SCHEMA: &'static Schema;

    /// The database's name.
    const NAME: &'static str;

    /// A new connection.
    fn connect(&self, purpose: Purpose) -> impl Future<Output = Result<Self::Conn>> + Send;

    /// Asks the server for a sign of life.
    fn ping(conn: &mut Self::Conn) -> impl Future<Output = diesel::QueryResult<()>> + Send;

    /// What begins a transaction; `None`: nothing, its only statement is one by itself.
    fn begin(&self, begin: Begin) -> Option<String>;

    /// Keeps other migrations out until the transaction ends.
    fn lock_migrations(s: &mut ServerSession<Self>) -> impl Future<Output = Outcome<()>> + Send;

    /// Runs a statement, where `begin` is given as the first of a transaction.
    fn execute(
        conn: &mut Self::Conn,
        begin: Option<String>,
        statement: Filled<'_, ()>,
    ) -> impl Future<Output = diesel::QueryResult<usize>> + Send;

    /// Runs a statement whose rows are one text each.
    fn texts(
        conn: &mut Self::Conn,
        begin: Option<String>,
        statement: Filled<'_, diesel::sql_types::Text>,
    ) -> impl Future<Output = diesel::QueryResult<Vec<String>>> + Send;

    /// Inserts programs, those of `absent` only where their run id is not there yet; the run ids that
    /// were inserted.
    fn insert<S: Session>(
        s: &mut S,
        programs: &[&NewProgram],
        absent: bool,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;

    /// Inserts programs by a statement that stands alone, and tells other processes as soon as they are
    /// durable; the run ids that were inserted.
    fn insert_and_ring(
        s: &mut ServerSession<Self>,
        store: &Inner<Self>,
        programs: &[&NewProgram],
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send {
        async move {
            let inserted = Self::insert(s, programs, false).await?;
            Self::ring(s, store, Whose::Ours).await?;
            Ok(inserted)
        }
    }

    /// Takes due programs. `look`: whether what has become due by itself is looked for before.
    fn claim(
        s: &mut ServerSession<Self>,
        request: &ClaimRequest,
        look: bool,
    ) -> impl Future<Output = Outcome<Claimed>> + Send;

    /// Writes those programs that are as their workers know them, all at once. `last`: nothing else
    /// follows in the transaction, which may end with it.
    fn commit(
        s: &mut ServerSession<Self>,
        writes: &[StepWrite],
        last: bool,
    ) -> impl Future<Output = Outcome<Vec<Straight>>> + Send;

    fn heartbeat(
        s: &mut ServerSession<Self>,
        worker: WorkerId,
        lease: Duration,
        held: &[Held],
    ) -> impl Future<Output = Outcome<Vec<Pulse>>> + Send;

    /// The oldest of these programs, kept from others till the transaction ends.
    fn prunable(
        s: &mut ServerSession<Self>,
        ended: &Ended,
        limit: usize,
    ) -> impl Future<Output = Outcome<Vec<i64>>> + Send;

    /// How many of these programs there are.
    fn count_ended(
        s: &mut ServerSession<Self>,
        ended: &Ended,
    ) -> impl Future<Output = Outcome<i64>> + Send;

    /// The first queue behind this one that has programs which ended so.
    fn queue_of_ended(
        s: &mut ServerSession<Self>,
        state: ProgramState,
        after: &str,
    ) -> impl Future<Output = Outcome<Option<String>>> + Send;

    /// Whether the database can hold these texts (SEMANTICS §1.4).
    fn can_hold(
        s: &mut ServerSession<Self>,
        json: &[&str],
        texts: &[&str],
    ) -> impl Future<Output = Outcome<()>> + Send;

    /// Whether a transaction that has failed so may succeed when it is begun once more: the database
    /// has chosen it to give way to another one.
    fn gives_way(error: &diesel::result::Error) -> bool {
        let _ = error;
        false
    }

    /// What of the server's settings may cost committed steps when it crashes, and what to do.
    fn durability_warning(
        _s: &mut ServerSession<Self>,
    ) -> impl Future<Output = Outcome<Option<String>>> + Send {
        async { Ok(None) }
    }

    /// An error of the database in the user's words.
    fn explain(&self, error: diesel::result::Error) -> Error;

    /// Tells other processes that something may be due.
    fn ring<S: Session>(
        s: &mut S,
        store: &Inner<Self>,
        whose: Whose,
    ) -> impl Future<Output = Outcome<()>> + Send;

    /// Hears what other processes ring, and passes it on; never ends.
    fn hear(store: Arc<Inner<Self>>, bell: watch::Sender<u64>) -> impl Future<Output = ()> + Send;

    /// How long nobody looks for what is due where nothing is heard.
    const SLOW_POLL: Duration;

    /// Whether it closes the connection that brings it a value which is too large.
    const CLOSES_OVER_LARGE_VALUES: bool;
}

/// What became of a write on the straight way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Straight {
    /// It is written.
    Written,
    /// It is written, and its queue is paused.
    Paused,
    /// Its row is not as the worker knew it, or locked by some client: nothing was written.
    Not,
}

/// Who hears a message first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Whose {
    /// This process has heard it already.
    Ours,
    /// Nobody has: it is part of a transaction of the application's.
    Anybodys,
}

/// A constraint of the tables refuses this data alone (SEMANTICS §1.4); everything else may go better
/// later.
pub(in crate::store) fn kind_of(error: &diesel::result::Error) -> ErrorKind {
    use diesel::result::{DatabaseErrorKind as Kind, Error::DatabaseError};

    match error {
        DatabaseError(
            Kind::UniqueViolation
            | Kind::ForeignKeyViolation
            | Kind::NotNullViolation
            | Kind::CheckViolation
            | Kind::RestrictViolation
            | Kind::ExclusionViolation,
            _,
        ) => ErrorKind::InvalidData,
        _ => ErrorKind::Store,
    }
}
