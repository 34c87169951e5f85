//! What a person with any SQL client does to the tables.

use std::future::Future;

use diesel::{
    Connection, QueryableByName, SqliteConnection, connection::SimpleConnection, sql_query,
    sql_types,
};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, AsyncPgConnection};

use crate::{Fresh, Store};

/// A value, whatever its type was.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    value: Option<String>,
}

/// A statement on a connection of its own.
macro_rules! on_a_server {
    ($Conn:ty, $url:expr, $verb:ident($text:expr)) => {
        async {
            let mut conn = <$Conn>::establish(&$url).await;
            let conn = conn.as_mut().expect("the test server is there");
            diesel_async::RunQueryDsl::$verb(sql_query($text), conn).await
        }
    };
}
pub(crate) use on_a_server;

/// An SQL client of a database.
#[derive(Clone, Debug)]
pub struct Sql {
    store: Store,
    url: String,
}

impl Sql {
    /// Of the database at this URL.
    ///
    /// # Panics
    /// Executor has no store there.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let store = match url.split(':').next() {
            Some("sqlite") => Store::Sqlite,
            Some("postgres" | "postgresql") => Store::Postgres,
            Some("mysql") => Store::MySql,
            _ => panic!("{url:?} is no URL of a store"),
        };
        Self {
            store,
            url: url.to_owned(),
        }
    }

    fn connection(&self) -> SqliteConnection {
        let path = self.url.trim_start_matches("sqlite:");
        let mut conn = SqliteConnection::establish(path).expect("a connection");
        conn.batch_execute("PRAGMA busy_timeout = 10000")
            .expect("a setting");
        conn
    }

    /// Changes something; how many rows it was.
    ///
    /// # Panics
    /// The database refuses.
    pub fn sql(&self, text: &str) -> usize {
        let done = match self.store {
            Store::Sqlite => diesel::RunQueryDsl::execute(sql_query(text), &mut self.connection()),
            Store::Postgres => aside(on_a_server!(AsyncPgConnection, self.url, execute(text))),
            Store::MySql => aside(on_a_server!(AsyncMysqlConnection, self.url, execute(text))),
        };
        done.unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    /// One value, as text.
    ///
    /// # Panics
    /// The database refuses, or there is no row.
    #[must_use]
    pub fn value(&self, expression: &str, from: &str) -> Option<String> {
        let text = match self.store {
            Store::MySql => "CHAR",
            _ => "TEXT",
        };
        let text = format!("SELECT CAST({expression} AS {text}) AS value FROM {from}");
        let row: Result<Row, _> = match self.store {
            Store::Sqlite => {
                diesel::RunQueryDsl::get_result(sql_query(&text), &mut self.connection())
            }
            Store::Postgres => aside(on_a_server!(AsyncPgConnection, self.url, get_result(&text))),
            Store::MySql => aside(on_a_server!(
                AsyncMysqlConnection,
                self.url,
                get_result(&text)
            )),
        };
        row.unwrap_or_else(|e| panic!("{text}: {e}")).value
    }
}

impl Fresh {
    /// An SQL client of its database.
    #[must_use]
    pub fn client(&self) -> Sql {
        Sql::at(&self.url())
    }

    /// A connection of its own to the database file.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn connection(&self) -> SqliteConnection {
        self.client().connection()
    }

    /// Whether nobody is in the middle of a write that holds up all others.
    ///
    /// # Panics
    /// A setting is refused.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        if self.store() != Store::Sqlite {
            return true;
        }
        let mut conn = self.connection();
        conn.batch_execute("PRAGMA busy_timeout = 100")
            .expect("a setting");
        conn.batch_execute("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    }

    /// The database's expression for its clock, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> &'static str {
        match self.store() {
            Store::Sqlite => "unixepoch('subsec') * 1000",
            Store::Postgres => "extract(epoch FROM clock_timestamp()) * 1000",
            Store::MySql => "unix_timestamp(sysdate(3)) * 1000",
        }
    }

    /// Refuses all updates of a table, until [`reopen`](Fresh::reopen).
    pub fn close(&self, table: &str) {
        let when = format!("CREATE TRIGGER closed BEFORE UPDATE ON {table}");
        self.sql(&match self.store() {
            Store::Sqlite => format!("{when} BEGIN SELECT RAISE(ABORT, 'closed'); END"),
            Store::Postgres => {
                self.sql(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'closed'; END $$",
                );
                format!("{when} EXECUTE FUNCTION refuse()")
            }
            Store::MySql => {
                format!("{when} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'closed'")
            }
        });
    }

    /// Lets a table be updated again.
    pub fn reopen(&self, table: &str) {
        self.sql(&match self.store() {
            Store::Postgres => format!("DROP TRIGGER closed ON {table}"),
            Store::Sqlite | Store::MySql => "DROP TRIGGER closed".to_owned(),
        });
    }

    /// Changes something by hand; how many rows it was.
    ///
    /// # Panics
    /// The database refuses.
    pub fn sql(&self, text: &str) -> usize {
        self.client().sql(text)
    }

    /// One value, as text.
    ///
    /// # Panics
    /// The database refuses, or there is no row.
    #[must_use]
    pub fn value(&self, expression: &str, from: &str) -> Option<String> {
        self.client().value(expression, from)
    }
}

/// Does something on a thread and runtime of its own, and waits for it: those of a test may be busy.
pub(crate) fn aside<T: Send>(work: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(work)
        });
        work.join().expect("no panic")
    })
}
