//! Where a test's store is: a file of its own, or a database of its own on a server.

use diesel::sql_query;
use diesel_async::{AsyncConnection, AsyncMysqlConnection, AsyncPgConnection};

use crate::{
    Store,
    sql::{aside, on_a_server},
};

/// A database that is dropped with it, where it was made for it.
#[derive(Debug)]
pub(crate) struct Database {
    store: Store,
    server: String,
    /// `None`: the one that the server's URL names.
    name: Option<String>,
}

impl Database {
    /// Creates one on the store's server. `None`: it has none.
    pub(crate) fn create(store: Store) -> Option<Self> {
        let server = store.server()?;
        let name = format!("executor_{}", uuid::Uuid::new_v4().simple());
        let create = format!("CREATE DATABASE {name}");
        let database = Self {
            store,
            server,
            name: Some(name),
        };
        let created = database.administer(&create);
        created.unwrap_or_else(|e| panic!("no database on the test server: {e}"));
        Some(database)
    }

    /// The one at this URL.
    pub(crate) fn at(store: Store, url: &str) -> Self {
        Self {
            store,
            server: url.to_owned(),
            name: None,
        }
    }

    /// Its URL: the server's, with another name of the database.
    pub(crate) fn url(&self) -> String {
        let Some(name) = &self.name else {
            return self.server.clone();
        };
        let (server, options) = match self.server.split_once('?') {
            Some((server, options)) => (server, format!("?{options}")),
            None => (&*self.server, String::new()),
        };
        let (scheme, rest) = server.split_once("://").expect("a URL");
        let authority = rest.split('/').next().unwrap_or_default();
        format!("{scheme}://{authority}/{name}{options}")
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
        if let Some(name) = &self.name {
            // What can't be dropped now hurts nobody.
            let _ = self.administer(&format!("DROP DATABASE {name}{force}"));
        }
    }
}
