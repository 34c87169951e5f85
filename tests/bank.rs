//! Money that is moved between accounts, each transfer in one transaction with its step. The binary says
//! in which database: `type Db`.

use diesel::{sql_query, sql_types::Integer};
use diesel_async::{AsyncConnection, RunQueryDsl, TransactionManager};
use executor::prelude::*;
use executor_tests::{Store, note};

use crate::Db;

type Manager = <Db as AsyncConnection>::TransactionManager;

/// Moves one coin, and notes in the database that it did: each transfer twice would show there.
#[job(retry(max = 10000, backoff = "1ms..20ms"))]
pub(crate) async fn transfer(
    ctx: Context,
    from: i32,
    to: i32,
    mut tx: Tx<Db>,
) -> Result<(), JobError> {
    note("start", &ctx, ctx.attempt());
    let conn = tx.conn().await?;
    // Always in the same order, or two transfers could wait for each other.
    let mut changes = [(from, -1), (to, 1)];
    changes.sort_unstable();
    for (account, change) in changes {
        let statement =
            format!("UPDATE accounts SET balance = balance + ({change}) WHERE id = {account}");
        sql_query(statement).execute(conn).await.or_retry()?;
    }
    let statement = format!(
        "INSERT INTO moves (run_id, step) VALUES ('{}', {})",
        ctx.run_id(),
        ctx.step()
    );
    sql_query(statement).execute(conn).await.or_retry()?;
    Ok(())
}

/// Writes, and fails where it is told to: nothing of it stays.
#[job]
pub(crate) async fn spill(
    ctx: Context,
    how: String,
    mut saved: Saved<u32>,
    mut tx: Tx<Db>,
) -> Result<u32, JobError> {
    let conn = tx.conn().await?;
    let statement = format!(
        "INSERT INTO moves (run_id, step) VALUES ('{}', 0)",
        ctx.run_id()
    );
    sql_query(statement).execute(conn).await?;
    saved.set(7).await?;
    if std::env::var_os("TEST_LEDGER").is_some() {
        note("written", &ctx, 0);
    }
    match how.as_str() {
        "error" => Err(JobError::fatal("spilt")),
        "panic" => panic!("spilt"),
        "wait" => {
            ctx.cancelled().await;
            std::future::pending().await
        }
        "nested" => {
            // As a transaction of its own that was dropped half way leaves it.
            Manager::begin_transaction(conn).await?;
            Ok(*saved)
        }
        _ => Ok(*saved),
    }
}

/// Uses no transaction, though it has one.
#[job]
pub(crate) async fn abstain(mut saved: Saved<u32>, tx: Tx<Db>) -> Result<(), JobError> {
    saved.set(3).await?;
    drop(tx);
    Ok(())
}

/// One value.
#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = Integer)]
    count: i32,
}

/// Sees its own writes, and starts a program within its transaction.
#[job]
pub(crate) async fn parent(ctx: Context, mut tx: Tx<Db>) -> Result<i32, JobError> {
    let conn = tx.conn().await?;
    let statement = format!(
        "INSERT INTO moves (run_id, step) VALUES ('{}', 0)",
        ctx.run_id()
    );
    sql_query(statement).execute(conn).await?;
    let statement = format!(
        "SELECT CAST(COUNT(*) AS INTEGER) AS count FROM moves WHERE run_id = '{}'",
        ctx.run_id()
    );
    let found = sql_query(statement).get_result::<Count>(conn).await?;
    ctx.start(Abstain::default())?;
    Ok(found.count)
}

/// The bank's tables, with so many accounts of so many coins.
#[allow(dead_code, reason = "the worker processes find them there")]
pub(crate) fn open(fresh: &executor_tests::Fresh, accounts: usize, coins: i64) {
    fresh.sql("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)");
    fresh.sql("CREATE TABLE moves (run_id VARCHAR(64) NOT NULL, step INTEGER NOT NULL)");
    for account in 0..accounts {
        fresh.sql(&format!(
            "INSERT INTO accounts (id, balance) VALUES ({account}, {coins})"
        ));
    }
}

/// The store that the bank is in, as messages name it.
#[allow(dead_code, reason = "for the test")]
pub(crate) const NAME: &str = <Db as executor::TxConnection>::STORE;

/// The store that the bank is in.
#[allow(dead_code, reason = "for the test")]
pub(crate) fn store() -> Store {
    match NAME {
        "SQLite" => Store::Sqlite,
        "PostgreSQL" => Store::Postgres,
        _ => Store::MySql,
    }
}

/// A connection of the application's own.
#[allow(dead_code, reason = "for the test")]
pub(crate) async fn connect(fresh: &executor_tests::Fresh) -> Db {
    let url = fresh.url();
    let url = url.strip_prefix("sqlite:").unwrap_or(&url);
    let mut conn = Db::establish(url).await.expect("a connection");
    if store() == Store::Sqlite {
        let wait = sql_query("PRAGMA busy_timeout = 10000");
        wait.execute(&mut conn).await.expect("a setting");
    }
    conn
}

/// Works until SIGTERM.
#[allow(dead_code, reason = "for the worker processes")]
pub(crate) async fn work() -> executor::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminated = signal(SignalKind::terminate())?;
    let executor = executor::builder().connect().await?;
    let terminated = async {
        terminated.recv().await;
    };
    executor.work_until(terminated).await
}
