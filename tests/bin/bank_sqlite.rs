//! A bank's worker process on SQLite.

#[path = "../bank.rs"]
mod bank;

type Db = executor::Sqlite;

#[tokio::main]
async fn main() -> executor::Result<()> {
    bank::work().await
}
