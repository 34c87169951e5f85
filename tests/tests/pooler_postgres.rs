//! A pooler between the workers and the server.

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;
#[path = "../trouble.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod trouble;

use std::{sync::Arc, time::Duration};

use executor::{Builder, Executor, prelude::*};
use executor_tests::{PgBouncer, Pooling, Settings, Working, until};
use trouble::{Count, Log, Tally, all_finish, create};

type Site = trouble::Site<executor_tests::Postgres>;

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

/// A store behind a pooler, and how often each body ran.
struct Pooled {
    site: Site,
    pooler: PgBouncer,
    tally: Arc<Tally>,
}

impl Pooled {
    async fn start(pooling: Pooling, connections: u32) -> Option<Self> {
        let site = Site::start(Settings::default().without_fsync()).await?;
        let pooler = PgBouncer::start(&site.server, pooling, connections).await?;
        Some(Self {
            site,
            pooler,
            tally: Tally::new(),
        })
    }

    fn builder(&self) -> Builder {
        let builder = self.site.fresh.builder().database_url(self.pooler.url());
        builder.state(Arc::clone(&self.tally))
    }

    /// Whether two programs in a row start sooner than the clock rings.
    async fn starts_at_once(&self, executor: &Executor) -> bool {
        for _ in 0..2 {
            let run_id = Count.create(executor).await.expect("created");
            let created = tokio::time::Instant::now();
            until("it runs", async || self.tally.of(&run_id, 0) == 1).await;
            if created.elapsed() > Duration::from_millis(100) {
                return false;
            }
        }
        true
    }

    /// Works through many programs with two workers.
    async fn work(&self, builder: impl Fn() -> Builder) {
        let mut workers = Vec::new();
        for _ in 0..2 {
            let executor = builder().connect().await.expect("connected");
            workers.push((Working::start(&executor), executor));
        }
        let executor = self.builder().connect().await.expect("connected");
        let run_ids = create(&executor, 200, 5).await;
        all_finish(&executor, &run_ids, 5).await;
        assert_eq!(self.tally.repeated(), []);
        assert_eq!(self.tally.steps(), 1000);
        for (working, executor) in workers {
            assert!(executor.stats().await.is_ok());
            working.stop().await;
        }
    }
}

/// Writes in a transaction of its own.
#[job]
async fn book(ctx: Context, mut tx: Tx<executor::Pg>) -> Result<(), JobError> {
    use diesel_async::RunQueryDsl;

    let insert = format!("INSERT INTO moves VALUES ('{}')", ctx.run_id());
    let conn = tx.conn().await?;
    diesel::sql_query(insert).execute(conn).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_pools_sessions_is_like_the_server() {
    let Some(pooled) = Pooled::start(Pooling::Session, 60).await else {
        return;
    };
    pooled.work(|| pooled.builder()).await;
    let worker = pooled.builder().connect().await.expect("connected");
    let working = Working::start(&worker);
    let executor = pooled.builder().connect().await.expect("connected");
    until("messages are heard", async || {
        pooled.starts_at_once(&executor).await
    })
    .await;
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_pools_transactions_mixes_nothing_up() {
    // Few connections for many clients, so that each transaction gets another one.
    let Some(pooled) = Pooled::start(Pooling::Transaction, 3).await else {
        return;
    };
    pooled.work(|| pooled.builder()).await;
    pooled
        .site
        .fresh
        .sql("CREATE TABLE moves (run_id text NOT NULL)");
    let executor = pooled.builder().connect().await.expect("connected");
    let working = Working::start(&executor);
    let mut run_ids = Vec::new();
    for _ in 0..30 {
        run_ids.push(Book.create(&executor).await.expect("created"));
    }
    all_finish(&executor, &run_ids, 1).await;
    let moves = pooled.site.fresh.value("COUNT(DISTINCT run_id)", "moves");
    assert_eq!(moves.as_deref(), Some("30"));
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_of_transactions_the_server_itself_is_listened_to() {
    let Some(pooled) = Pooled::start(Pooling::Transaction, 3).await else {
        return;
    };
    let worker = pooled.builder().listen_url(pooled.site.server.url());
    let worker = worker.connect().await.expect("connected");
    let working = Working::start(&worker);
    let executor = pooled.builder().connect().await.expect("connected");
    until("messages are heard", async || {
        pooled.starts_at_once(&executor).await
    })
    .await;
    working.stop().await;
}

#[tokio::test]
async fn behind_a_pooler_of_transactions_a_deaf_worker_says_so_and_looks_often() {
    let Some(pooled) = Pooled::start(Pooling::Transaction, 3).await else {
        return;
    };
    let fresh = &pooled.site.fresh;
    let log = Log::of(fresh, "log");
    let worker = fresh
        .worker(WORKER)
        .set("DATABASE_URL", pooled.pooler.url());
    let worker = worker.log(log.file()).start();
    until("it says so", async || {
        log.lines("EXECUTOR_LISTEN_URL").len() == 1
    })
    .await;
    let executor = pooled.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    for number in 1..=3 {
        jobs::Once.create(&executor).await.expect("created");
        let created = tokio::time::Instant::now();
        until("it runs", async || ledger.count("start") == number).await;
        let took = created.elapsed();
        assert!(took < Duration::from_millis(600), "it took {took:?}");
    }
    worker.stop().await;
    assert_eq!(log.lines("are not heard").len(), 1, "{}", log.text());
}
