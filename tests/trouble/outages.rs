//! Servers that go away, and come back.

use std::{
    collections::{HashMap, HashSet},
    process::Command,
    time::{Duration, Instant},
};

use executor::{ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Settings, until};

use crate::{
    Make, WORKER,
    jobs::{Gate, Slow},
    trouble::{Log, Server, Site, all_finish, get},
};

/// The starts of bodies, by program and step.
fn starts(fresh: &Fresh) -> HashMap<(RunId, usize), usize> {
    let mut starts = HashMap::new();
    for entry in fresh.ledger().of("start") {
        *starts.entry((entry.run_id, entry.step)).or_default() += 1;
    }
    starts
}

#[tokio::test]
async fn a_server_that_crashes_is_waited_for_and_told_of_once() {
    let Some(mut site) = Site::<Make>::start(Settings::default()).await else {
        return;
    };
    let executor = site.fresh.builder().connect().await.expect("connected");
    let ledger = site.fresh.ledger();
    let log = Log::of(&site.fresh, "log");
    let worker = site.fresh.worker(WORKER).lease(Duration::from_secs(20));
    let worker = worker.log(log.file()).start();
    let mut run_ids = Vec::new();
    for number in 0..20 {
        let slow = |millis| Slow { millis };
        let program = Program::new(()).then(slow(300 + 50 * number));
        let program = program.then_again(slow(10)).then_again(slow(20));
        run_ids.push(program.create(&executor).await.expect("created"));
    }
    until("all run", async || ledger.count("start") >= 20).await;
    site.server.stop();
    let before = ledger.count("end");
    until("jobs go on meanwhile", async || {
        ledger.count("end") > before + 5
    })
    .await;
    until("it is told", async || !log.lines(" WARN ").is_empty()).await;
    site.server.start_again().await;
    all_finish(&executor, &run_ids, 3).await;
    // Its heart and its ear come back by themselves.
    until("it is over", async || {
        !log.lines("the store can be used again").is_empty()
    })
    .await;
    let starts = starts(&site.fresh);
    assert_eq!(starts.len(), 60);
    assert!(starts.values().all(|times| *times == 1), "{starts:?}");
    worker.stop().await;
    assert_eq!(log.lines(" WARN ").len(), 1, "{}", log.text());
    let over = log.lines("the store can be used again");
    assert_eq!(over.len(), 1, "{}", log.text());
}

#[tokio::test]
async fn after_an_outage_longer_than_a_lease_workers_renew_their_own_leases_first() {
    let Some(mut site) = Site::<Make>::start(Settings::default()).await else {
        return;
    };
    let executor = site.fresh.builder().connect().await.expect("connected");
    let ledger = site.fresh.ledger();
    let lease = Duration::from_secs(1);
    let worker = || {
        let worker = site.fresh.worker(WORKER).lease(lease);
        worker.set("EXECUTOR_SLOTS", 5).start()
    };
    let workers = [worker(), worker()];
    let file = site.fresh.folder().join("gate");
    let mut run_ids = Vec::new();
    for _ in 0..10 {
        let file = file.display().to_string();
        let gate = Gate { file, page: 0 };
        run_ids.push(gate.create(&executor).await.expect("created"));
    }
    until("all run", async || ledger.count("saved") == 10).await;
    let pids: HashSet<_> = ledger.of("saved").into_iter().map(|it| it.pid).collect();
    assert_eq!(pids.len(), 2, "one worker has them all");
    site.server.stop();
    let stopped = Instant::now();
    until("three leases are over", async || {
        stopped.elapsed() > 3 * lease
    })
    .await;
    site.server.start_again().await;
    let back = Instant::now();
    let running = async || {
        let mut running = 0;
        for run_id in &run_ids {
            let program = get(&executor, run_id).await;
            assert_eq!(program.crashes, 0, "{program:?}");
            running += usize::from(program.state == ProgramState::Running);
        }
        running
    };
    until("two leases later", async || back.elapsed() > 2 * lease).await;
    assert_eq!(running().await, 10);
    assert_eq!(ledger.count("start"), 10, "a body ran twice");
    std::fs::write(&file, "").expect("an open gate");
    all_finish(&executor, &run_ids, 1).await;
    assert_eq!((ledger.count("start"), ledger.count("refused")), (10, 0));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_worker_waits_for_a_server_that_is_not_up_yet_and_commands_do_not() {
    let settings = Settings::default().without_fsync();
    let Some(mut site) = Site::<Make>::start(settings).await else {
        return;
    };
    let login = Make::login(&site.fresh, "s3cret");
    site.server.stop();
    let url = site.fresh.url();
    let (scheme, place) = url.split_once("://").expect("a URL");
    let (_, place) = place.split_once('@').expect("a login");
    let url = format!("{scheme}://{login}@{place}");
    let log = Log::of(&site.fresh, "log");
    let worker = site.fresh.worker(WORKER).set("DATABASE_URL", &url);
    let mut worker = worker.log(log.file()).start();
    let waits = async || log.lines("waiting for the store").len() == 1;
    until("it is told", waits).await;

    let began = Instant::now();
    let list = Command::new(env!("CARGO_BIN_EXE_test-app"))
        .arg("list")
        .env("DATABASE_URL", &url)
        .output()
        .expect("it runs");
    assert_eq!(list.status.code(), Some(1));
    let said = String::from_utf8(list.stderr).expect("text");
    assert!(said.contains("can't be reached"), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "it took too long");

    assert!(!worker.has_ended());
    site.server.start_again().await;
    let executor = site.fresh.builder().connect().await.expect("connected");
    let run_id = Slow { millis: 1 }.create(&executor).await.expect("created");
    all_finish(&executor, &[run_id], 1).await;
    worker.stop().await;
    assert_eq!(log.lines("waiting for the store").len(), 1);
    assert_eq!(log.lines("the store is there").len(), 1, "{}", log.text());
    assert!(!log.text().contains("s3cret"), "{}", log.text());
}

#[tokio::test]
async fn a_worker_whose_server_is_away_ends_when_it_is_told_to() {
    let settings = Settings::default().without_fsync();
    let Some(mut site) = Site::<Make>::start(settings).await else {
        return;
    };
    let log = Log::of(&site.fresh, "log");
    let executor = site.fresh.builder().connect().await.expect("connected");
    let worker = site.fresh.worker(WORKER).log(log.file()).start();
    let there = async || executor.workers().await.expect("workers").len() == 1;
    until("it works", there).await;
    site.server.stop();
    let began = Instant::now();
    worker.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "it took too long");
}
