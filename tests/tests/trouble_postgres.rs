//! Connections and servers in trouble, on PostgreSQL: nothing is lost, and nothing runs twice.

#[path = "../trouble/answers.rs"]
mod answers;
#[path = "../trouble/behind.rs"]
mod behind;
#[path = "../trouble/connections.rs"]
mod connections;
#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;
#[path = "../trouble/locks.rs"]
mod locks;
#[path = "../trouble/outages.rs"]
mod outages;
#[path = "../trouble.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod trouble;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use behind::Behind;
use executor::{ErrorKind, ProgramState, prelude::*};
use executor_tests::{Fresh, Proxy, Settings, Store, Working, until};
use trouble::{Count, Log, Site, Tally, all_finish};

type Db = executor::Pg;
type Make = executor_tests::Postgres;
const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deaf_listener_is_found_out_and_programs_start_meanwhile() {
    let Some(fresh) = Fresh::only_on(Store::Postgres) else {
        return;
    };
    let proxy = Proxy::to_url(&fresh.url()).await;
    let tally = Tally::new();
    // Of another store object, like another process: it is heard by messages only.
    let executor = fresh.builder().state(Arc::clone(&tally));
    let executor = executor.connect().await.expect("connected");
    let worker = fresh.builder().state(Arc::clone(&tally));
    let worker = worker.listen_url(proxy.url()).connect().await;
    let working = Working::start(&worker.expect("connected"));
    let start = async || {
        let run_id = Count.create(&executor).await.expect("created");
        let created = Instant::now();
        until("it runs", async || tally.of(&run_id, 0) == 1).await;
        created.elapsed()
    };
    // Two in a row within this time: the clock rings less often.
    let hears = async || {
        start().await < Duration::from_millis(100) && start().await < Duration::from_millis(100)
    };
    until("it hears", hears).await;
    proxy.silence();
    let silent = Instant::now();
    let first = start().await;
    assert!(first < Duration::from_millis(5500), "it took {first:?}");
    until("it hears again", hears).await;
    let deaf = silent.elapsed();
    // The next probe, its patience, and a new connection.
    assert!(deaf < Duration::from_secs(9), "it was deaf for {deaf:?}");
    working.stop().await;
}

#[tokio::test]
async fn what_only_the_database_refuses_ends_its_program_alone() {
    use serde_json::value::RawValue;

    /// A number that is JSON, and too large for `jsonb`.
    fn number(exponent: u32) -> Box<RawValue> {
        RawValue::from_string(format!("1e{exponent}")).expect("JSON")
    }
    #[job]
    async fn large(
        exponent: u32,
        saved: bool,
        mut kept: Saved<Option<Box<RawValue>>>,
    ) -> Result<Box<RawValue>, JobError> {
        if saved {
            kept.set(Some(number(exponent))).await?;
        }
        Ok(number(exponent))
    }
    let Some(behind) = Behind::start(Duration::from_secs(5)).await else {
        return;
    };
    let run = async |exponent, saved| {
        let large = Large {
            exponent,
            saved,
            kept: None,
        };
        large.create(&behind.executor).await.expect("created")
    };
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for number in 0..30 {
        good.push(run(10, number % 2 == 0).await);
        if number % 3 == 0 {
            bad.push(run(999_999, number % 2 == 0).await);
        }
    }
    all_finish(&behind.executor, &good, 1).await;
    for run_id in &bad {
        let program = executor_tests::ended(&behind.executor, run_id).await;
        assert_eq!(program.state, ProgramState::Errored, "{program:?}");
        let message = program.error_message.expect("a message");
        assert!(message.contains("could not be stored: "), "{message}");
    }
    // And at once where it is created.
    let program = executor::DynProgram::new(number(999_999)).then(Count);
    let refused = program.create(&behind.executor).await.map(drop);
    let refused = refused.expect_err("too large");
    assert_eq!(refused.kind(), ErrorKind::InvalidData);
    behind.working.stop().await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_said_to_be_one() {
    let Some(fresh) = Fresh::only_on(Store::Postgres) else {
        return;
    };
    let database = fresh.value("current_database()", "(SELECT 1) AS one");
    let set = |value| {
        let database = database.as_deref().expect("a name");
        fresh.sql(&format!(
            "ALTER DATABASE {database} SET default_transaction_read_only = {value}"
        ));
    };
    let advice = |error: &executor::Error| {
        let text = error.to_string();
        assert!(text.contains("connect to the primary"), "{text}");
        assert!(text.contains("read-only transaction"), "{text}");
    };
    set("on");
    let refused = fresh.builder().connect().await.map(drop);
    advice(&refused.expect_err("there are no tables"));
    // The last one who may write.
    let url = format!(
        "{}?options=-cdefault_transaction_read_only%3Doff",
        fresh.url()
    );
    let writer = fresh.builder().database_url(&url);
    writer.connect().await.expect("it makes the tables");
    let executor = fresh.builder().state(Tally::new()).connect().await;
    let executor = executor.expect("with the tables it can look");
    let refused = Count.create(&executor).await.map(drop);
    advice(&refused.expect_err("it can't be written"));
    let worked = executor.work_until(std::future::pending()).await;
    advice(&worked.expect_err("a worker can do nothing there"));
}

#[tokio::test]
async fn a_worker_warns_of_a_server_that_may_forget_commits() {
    let settings = Settings::default().set("synchronous_commit", "off");
    let Some(site) = Site::<Make>::start(settings).await else {
        return;
    };
    let log = Log::of(&site.fresh, "log");
    let worker = site.fresh.worker(WORKER).log(log.file()).start();
    until("it works", async || !log.lines("working").is_empty()).await;
    worker.stop().await;
    let warnings = log.lines(" WARN ");
    assert_eq!(warnings.len(), 1, "{}", log.text());
    assert!(
        warnings[0].contains("synchronous_commit = off"),
        "{warnings:?}"
    );
}
