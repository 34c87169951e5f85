//! A bank's worker process on PostgreSQL.

#[path = "../bank.rs"]
mod bank;

type Db = executor::Pg;

#[tokio::main]
async fn main() -> executor::Result<()> {
    bank::work().await
}
