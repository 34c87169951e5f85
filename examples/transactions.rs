//! Money moves between accounts, each transfer exactly once: a job's own writes and its step are one
//! commit. Eight worker processes make the transfers, and are killed again and again meanwhile.
//!
//! `cargo run --example transactions`, or with a server
//! `DATABASE_URL=postgres://… cargo run --example transactions --features postgres`

use std::{
    process::{Child, Command},
    time::Duration,
};

use diesel::{QueryableByName, sql_query, sql_types::BigInt};
use diesel_async::RunQueryDsl;
use executor::{ProgramState, prelude::*};

/// The connection of the store: jobs write in its transactions.
#[cfg(not(feature = "postgres"))]
type Db = executor::Sqlite;
#[cfg(feature = "postgres")]
type Db = executor::Pg;

const ACCOUNTS: i64 = 10;
const COINS: i64 = 1000;
const TRANSFERS: i64 = 1000;
const WORKERS: usize = 8;

/// Begins anew with so many accounts of so many coins.
#[job]
async fn open_accounts(accounts: i64, coins: i64, mut tx: Tx<Db>) -> Result<(), JobError> {
    let conn = tx.conn().await?;
    for statement in [
        "DROP TABLE IF EXISTS example_accounts".to_owned(),
        "DROP TABLE IF EXISTS example_transfers".to_owned(),
        "CREATE TABLE example_accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)".to_owned(),
        "CREATE TABLE example_transfers (number BIGINT NOT NULL)".to_owned(),
    ] {
        sql_query(statement).execute(conn).await?;
    }
    for id in 0..accounts {
        let insert = format!("INSERT INTO example_accounts (id, balance) VALUES ({id}, {coins})");
        sql_query(insert).execute(conn).await?;
    }
    Ok(())
}

/// Moves coins and books the transfer. When its worker dies, nothing of it is there; when its step is
/// recorded, all of it is.
#[job(retry(max = 1000, backoff = "1ms..100ms"))]
async fn transfer(
    number: i64,
    from: i64,
    to: i64,
    coins: i64,
    mut tx: Tx<Db>,
) -> Result<(), JobError> {
    let conn = tx.conn().await?;
    // Always in the same order, or two transfers could wait for each other.
    let mut changes = [(from, -coins), (to, coins)];
    changes.sort_unstable();
    for (id, change) in changes {
        let update =
            format!("UPDATE example_accounts SET balance = balance + ({change}) WHERE id = {id}");
        sql_query(update).execute(conn).await.or_retry()?;
    }
    let book = format!("INSERT INTO example_transfers (number) VALUES ({number})");
    sql_query(book).execute(conn).await.or_retry()?;
    Ok(())
}

/// What there is in all: not one coin more or less than in the beginning, and each transfer once.
#[derive(QueryableByName, Serialize, Deserialize)]
struct Books {
    #[diesel(sql_type = BigInt)]
    coins: i64,
    #[diesel(sql_type = BigInt)]
    booked: i64,
    #[diesel(sql_type = BigInt)]
    different: i64,
}

/// Adds it all up.
#[job]
async fn audit(mut tx: Tx<Db>) -> Result<Books, JobError> {
    let look = "SELECT
        (SELECT CAST(SUM(balance) AS BIGINT) FROM example_accounts) AS coins,
        (SELECT COUNT(*) FROM example_transfers) AS booked,
        (SELECT COUNT(DISTINCT number) FROM example_transfers) AS different";
    Ok(sql_query(look).get_result(tx.conn().await?).await?)
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let builder = executor::builder().lease(Duration::from_secs(2));
    let builder = match std::env::var("DATABASE_URL") {
        Ok(_) => builder,
        Err(_) => builder.database_url("sqlite:transactions.db"),
    };
    let executor = builder.connect().await?;
    if std::env::args().nth(1).as_deref() == Some("work") {
        // Until it is killed.
        return executor.work_until(std::future::pending()).await;
    }
    let opened = OpenAccounts::new(ACCOUNTS, COINS).create(&executor).await?;
    executor.work_until_ended([&opened]).await?;
    let transfers = (0..TRANSFERS).map(|number| {
        let (from, to) = (number % ACCOUNTS, (number * 7 + 3) % ACCOUNTS);
        Transfer::new(number, from, to, 1 + number % 50).into_program()
    });
    for created in executor.create_many(transfers).await? {
        created?;
    }

    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Worker::start()?);
    }
    let mut kills = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let left = unfinished(&executor).await?;
        println!("{left} transfers to go, {kills} workers killed");
        if left == 0 {
            break;
        }
        drop(workers.remove(0));
        kills += 1;
        workers.push(Worker::start()?);
    }
    drop(workers);

    let run_id = Audit.create(&executor).await?;
    let ended = executor.work_until_ended([&run_id]).await?;
    println!("{}", ended[0].output().unwrap_or(&"nothing".into()));
    Ok(())
}

/// A worker process: this example once more.
struct Worker(Child);

impl Worker {
    fn start() -> std::io::Result<Self> {
        let this = std::env::current_exe()?;
        Command::new(this).arg("work").spawn().map(Self)
    }
}

impl Drop for Worker {
    /// SIGKILL, wherever it is. It may be gone already.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn unfinished(executor: &Executor) -> executor::Result<u64> {
    let stats = executor.stats().await?;
    let terminal = |state: &ProgramState| state.is_terminal();
    let open = stats.states.iter().filter(|(state, _)| !terminal(state));
    Ok(open.map(|(_, number)| number).sum())
}
