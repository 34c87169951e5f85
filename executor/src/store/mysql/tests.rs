//! The suite over MySQL or MariaDB, and what is its own: plans, and migrations that were cut off.

use super::*;
use crate::store::{Store, server::Cleared, suite};

/// A store in a database of its own, which goes with the first of the two.
async fn fresh() -> Option<(Cleared<MySqlServer>, Arc<dyn Store>)> {
    let (cleared, store) = open_fresh()?;
    Some((cleared, Arc::new(store)))
}

fn open_fresh() -> Option<(Cleared<MySqlServer>, ServerStore<MySqlServer>)> {
    let url = suite::server("EXECUTOR_TEST_MYSQL")?;
    let schema = format!("executor_suite_{}", uuid::Uuid::new_v4().simple());
    println!("the store is in the database {schema}");
    let config = Config {
        database_url: url.parse().expect("a URL"),
        schema: Some(schema.clone()),
        ..Config::default()
    };
    let store = open(&config).expect("settings");
    let clear = format!("DROP DATABASE IF EXISTS `{schema}`");
    Some((Cleared::by(&store, clear), store))
}

suite::exercise!(fresh);
