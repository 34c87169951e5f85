//! Where a test's store is: a file of its own, or a database of its own on a server.

use diesel::sql_query;
use diesel_async::{AsyncConnection, AsyncMysqlConnection, AsyncPgConnection};

use crate::{
    Store,
    sql::{aside, on_a_server},
};

/// A database that is dropped with it.
#[derive(Debug)]
pub(crate) struct Database {
    store: Store,
    server: String,
    name: String,
}

impl Database {
    /// Creates one on the store's server. `None`: it has none.
    pub(crate) fn create(store: Store) -> Option<Self> {
        let server = store.server()?;
        let name = format!("executor_{}", uuid::Uuid::new_v4().simple());
        let database = Self {
            store,
            server,
            name,
        };
        let created = database.administer(&format!("CREATE DATABASE {}", database.name));
        created.unwrap_or_else(|e| panic!("no database on the test server: {e}"));
        Some(database)
    }

    /// Its URL: the server's, with another name of the database.
    pub(crate) fn url(&self) -> String {
        let (server, options) = match self.server.split_once('?') {
            Some((server, options)) => (server, format!("?{options}")),
            None => (&*self.server, String::new()),
        };
        let (scheme, rest) = server.split_once("://").expect("a URL");
        let authority = rest.split('/').next().unwrap_or_default();
        format!("{scheme}://{authority}/{}{options}", self.name)
    }

    fn administer(&self, statement: &str) -> diesel::QueryResult<usize> {
        match self.store {
            Store::Postgres => aside(on_a_server!(
                AsyncPgConnection,
                self.server,
                execute(statement)
            )),
            Store::MySql => aside(on_a_server!(
                AsyncMysqlConnection,
                self.server,
                execute(statement)
            )),
            Store::Sqlite => unreachable!("it has no server"),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let force = match self.store {
            // Workers of the test may not have closed their connections yet.
            Store::Postgres => " WITH (FORCE)",
            _ => "",
        };
        // What can't be dropped now hurts nobody.
        let _ = self.administer(&format!("DROP DATABASE {}{force}", self.name));
    }
}
