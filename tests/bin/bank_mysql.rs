//! A bank's worker process on MySQL or MariaDB.

#[path = "../bank.rs"]
mod bank;

type Db = executor::MySql;

#[tokio::main]
async fn main() -> executor::Result<()> {
    bank::work().await
}
