//! What a person with any SQL client does to the tables.

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection,
    sql_query, sql_types,
};

use crate::Fresh;

impl Fresh {
    /// A connection of its own to the database file.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn connection(&self) -> SqliteConnection {
        let path = self.file().display().to_string();
        let mut conn = SqliteConnection::establish(&path).expect("a connection");
        conn.batch_execute("PRAGMA busy_timeout = 10000")
            .expect("a setting");
        conn
    }

    /// Whether nobody is in the middle of a write.
    ///
    /// # Panics
    /// A setting is refused.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        let mut conn = self.connection();
        conn.batch_execute("PRAGMA busy_timeout = 100")
            .expect("a setting");
        conn.batch_execute("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    }

    /// Changes something by hand; how many rows it was.
    ///
    /// # Panics
    /// The database refuses.
    pub fn sql(&self, text: &str) -> usize {
        sql_query(text)
            .execute(&mut self.connection())
            .expect("the statement runs")
    }

    /// One value, as text.
    ///
    /// # Panics
    /// The database refuses, or there is no row.
    #[must_use]
    pub fn value(&self, expression: &str, from: &str) -> Option<String> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
            value: Option<String>,
        }
        let text = format!("SELECT CAST({expression} AS TEXT) AS value FROM {from}");
        sql_query(text)
            .get_result::<Row>(&mut self.connection())
            .expect("a row")
            .value
    }
}
