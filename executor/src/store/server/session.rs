//! A verb's transaction on a server.

use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;

use super::{Database, pool::Leased};
use crate::store::sql::{
    Failure, Outcome, Session,
    statement::{Statement, Texts},
};

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Begin {
    /// The engine's own statements, whose plans must not depend on statistics.
    Engine,
    /// Looking only.
    Look,
    /// A statement that stands alone.
    Alone,
    /// The completion of a step, behind the writes of a job in its own transaction.
    Completion,
    /// A change of the tables.
    Migration,
}

/// One connection in one transaction, which begins with its first statement. Dropped before its
/// [`end`](ServerSession::end), it closes the connection.
pub(in crate::store) struct ServerSession<D: Database> {
    conn: Leased<D>,
    texts: Arc<Texts>,
    /// What begins the transaction, until it has begun.
    begin: Option<String>,
    /// Whether a transaction has begun and not ended.
    open: bool,
    /// Whether the connection is closed at the end.
    retires: bool,
}

impl<D: Database> ServerSession<D> {
    pub(super) fn new(conn: Leased<D>, texts: Arc<Texts>, begin: Option<String>) -> Self {
        Self {
            conn,
            texts,
            begin,
            open: false,
            retires: false,
        }
    }

    /// The connection, the texts, and what is to begin the transaction.
    pub(in crate::store) fn parts(&mut self) -> (&mut D::Conn, &Texts, Option<String>) {
        let begin = self.begin.take();
        self.open |= begin.is_some();
        (&mut self.conn, &self.texts, begin)
    }

    /// The connection and the texts, for a statement before the transaction begins.
    #[cfg(feature = "mysql")]
    pub(in crate::store) fn before(&mut self) -> (&mut D::Conn, &Texts) {
        (&mut self.conn, &self.texts)
    }

    pub(in crate::store) fn filler(&self) -> &Texts {
        &self.texts
    }

    /// The statement that was sent last has ended the transaction.
    pub(in crate::store) fn has_ended(&mut self) {
        self.open = false;
    }

    /// Something of this verb stays with the connection: it is not used again.
    pub(in crate::store) fn retires(&mut self) {
        self.retires = true;
    }

    /// The connection by itself.
    pub(super) fn conn(&mut self) -> &mut D::Conn {
        &mut self.conn
    }

    /// Begins something else within the same transaction.
    pub(super) fn goes_on_with(&mut self, begin: Option<String>) {
        self.begin = begin;
    }

    /// Puts the connection back: its transaction has ended.
    pub(super) fn give_back(mut self) {
        self.conn.give_back();
    }

    /// Whether this worker may take over from others: not when its connection had been lost, and is
    /// back for less than a lease. The others, who were cut off as well, renew their leases first
    /// (SEMANTICS §2.4).
    pub(in crate::store) fn has_been_up_for(&self, lease: std::time::Duration) -> bool {
        self.conn.is_first() || self.conn.age() >= lease
    }

    /// Whether the connection is still there after a statement of it has failed. It is not used again.
    pub(super) async fn survives(mut self) -> bool {
        self.conn.batch_execute("ROLLBACK").await.is_ok()
    }

    /// Ends the transaction: what was done stays if it succeeded, and else nothing does.
    pub(in crate::store) async fn end<T>(mut self, done: Outcome<T>) -> Outcome<T> {
        match done {
            Ok(done) => {
                if self.open {
                    self.conn.batch_execute("COMMIT").await?;
                }
                if !self.retires {
                    self.conn.give_back();
                }
                Ok(done)
            }
            Err(Failure::Ours(error)) => {
                let ended = !self.open || self.conn.batch_execute("ROLLBACK").await.is_ok();
                if ended && !self.retires {
                    self.conn.give_back();
                }
                Err(Failure::Ours(error))
            }
            // In which state such a connection is, nobody knows: it is closed.
            Err(error) => Err(error),
        }
    }
}

/// A connection of the application's, in whatever transaction it is.
pub(super) struct Borrowed<'a, D: Database> {
    conn: &'a mut D::Conn,
    texts: Arc<Texts>,
}

impl<'a, D: Database> Borrowed<'a, D> {
    pub(super) fn new(conn: &'a mut D::Conn, texts: Arc<Texts>) -> Self {
        Self { conn, texts }
    }
}

impl<D: Database> Session for Borrowed<'_, D> {
    async fn run(&mut self, statement: Statement<'_>) -> Outcome<usize> {
        Ok(D::execute(self.conn, None, statement.filled(&self.texts)).await?)
    }

    async fn texts(&mut self, statement: Statement<'_>) -> Outcome<Vec<String>> {
        Ok(D::texts(self.conn, None, statement.filled(&self.texts)).await?)
    }

    async fn script(&mut self, template: &str) -> Outcome<()> {
        Ok(self.conn.batch_execute(&self.texts.fill(template)).await?)
    }

    fn table_name(&self) -> (Option<String>, String) {
        name_of(&self.texts)
    }
}

fn name_of(texts: &Texts) -> (Option<String>, String) {
    let names = texts.names();
    (names.schema().map(str::to_owned), names.bare().to_owned())
}

impl<D: Database> Session for ServerSession<D> {
    async fn run(&mut self, statement: Statement<'_>) -> Outcome<usize> {
        let (conn, texts, begin) = self.parts();
        Ok(D::execute(conn, begin, statement.filled(texts)).await?)
    }

    async fn texts(&mut self, statement: Statement<'_>) -> Outcome<Vec<String>> {
        let (conn, texts, begin) = self.parts();
        Ok(D::texts(conn, begin, statement.filled(texts)).await?)
    }

    async fn script(&mut self, template: &str) -> Outcome<()> {
        let (conn, texts, begin) = self.parts();
        let script = texts.fill(template);
        if let Some(begin) = begin {
            conn.batch_execute(&begin).await?;
        }
        Ok(conn.batch_execute(&script).await?)
    }

    fn table_name(&self) -> (Option<String>, String) {
        name_of(&self.texts)
    }
}
