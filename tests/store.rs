//! The databases that a store can be in, and which one a run of the tests uses.

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file.
    Sqlite,
    /// The server that `EXECUTOR_TEST_POSTGRES` names.
    Postgres,
    /// The server that `EXECUTOR_TEST_MYSQL` names: MySQL or MariaDB.
    MySql,
}

impl Store {
    /// The one that this run of the tests is about: `EXECUTOR_TEST_STORE`, or SQLite.
    ///
    /// # Panics
    /// The variable says something else.
    #[must_use]
    pub fn of_this_run() -> Self {
        match std::env::var("EXECUTOR_TEST_STORE").as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok("mysql") => Self::MySql,
            Ok(other) => {
                panic!("EXECUTOR_TEST_STORE is {other:?}, not sqlite, postgres or mysql")
            }
        }
    }

    /// Its server, where there is one.
    pub(crate) fn server(self) -> Option<String> {
        let variable = match self {
            Self::Sqlite => return None,
            Self::Postgres => "EXECUTOR_TEST_POSTGRES",
            Self::MySql => "EXECUTOR_TEST_MYSQL",
        };
        std::env::var(variable).ok().filter(|url| !url.is_empty())
    }
}
