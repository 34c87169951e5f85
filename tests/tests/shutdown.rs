//! How workers end: gracefully, with what they run given back; and what becomes of a program that
//! ends them.

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use executor::{Executor, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Working, ended, until};
use jobs::{Abort, Once, Slow, Stay};
use tokio::sync::Semaphore;

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

async fn get(executor: &Executor, run_id: &RunId) -> ProgramInfo {
    executor.get(run_id).await.expect("read").expect("there")
}

fn assert_given_back(program: &ProgramInfo) {
    assert_eq!(program.state, ProgramState::Available, "{program:?}");
    assert_eq!(
        (program.crashes, program.step_retry_count),
        (0, 0),
        "{program:?}"
    );
    assert_eq!(
        (program.lease_until, program.errors.len()),
        (None, 0),
        "{program:?}"
    );
}

#[tokio::test]
async fn a_job_may_end_within_the_grace_time_and_no_other_starts() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    let process = fresh
        .worker(WORKER)
        .set("EXECUTOR_SHUTDOWN_GRACE", "1m")
        .start();
    let program = Program::new(()).then(Slow { millis: 500 }).then(Once);
    let run_id = program.create(&executor).await.expect("created");
    until("it runs", async || ledger.count("start") == 1).await;
    process.stop().await;
    assert_eq!(ledger.count("end"), 1, "it was not let end");
    assert_eq!(ledger.count("start"), 1, "the next step was started");
    let program = get(&executor, &run_id).await;
    assert_eq!(program.step, 1);
    assert_given_back(&program);
    assert_eq!(executor.workers().await.expect("workers").len(), 0);
    let process = fresh.worker(WORKER).start();
    assert_eq!(
        ended(&executor, &run_id).await.state,
        ProgramState::Finished
    );
    process.stop().await;
}

#[tokio::test]
async fn a_job_past_the_grace_time_is_cancelled_and_given_back() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    let lease = Duration::from_secs(600);
    let worker = || fresh.worker(WORKER).lease(lease);
    let first = worker().start();
    let run_id = Stay.create(&executor).await.expect("created");
    until("it runs", async || ledger.count("start") == 1).await;
    let stopped = Instant::now();
    first.stop().await;
    assert_eq!(ledger.count("cancelled"), 1);
    // 500 ms to end by itself, and 200 ms to end when it was told to.
    assert!(
        stopped.elapsed() >= Duration::from_millis(700),
        "{:?}",
        stopped.elapsed()
    );
    assert_given_back(&get(&executor, &run_id).await);
    let second = worker().start();
    until("it runs elsewhere", async || ledger.count("start") == 2).await;
    let program = get(&executor, &run_id).await;
    assert_eq!(
        (program.crashes, program.step_retry_count),
        (0, 0),
        "{program:?}"
    );
    let starts = ledger.of("start");
    assert_eq!(starts[1].pid, second.pid());
    assert_eq!(starts[1].number, 1, "it counts as a retry");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_keeps_the_lease_of_a_blocking_job_until_it_returns() {
    static GATE: Semaphore = Semaphore::const_new(0);
    static STARTS: AtomicUsize = AtomicUsize::new(0);
    /// Nobody can end it.
    #[job(blocking)]
    fn dig(ctx: Context) -> Result<u32, JobError> {
        STARTS.fetch_add(1, Ordering::SeqCst);
        tokio::runtime::Handle::current()
            .block_on(GATE.acquire())?
            .forget();
        Ok(ctx.attempt())
    }
    /// Opens the gate when it is dropped: a test that fails must not wait for its job.
    struct Closed;
    impl Drop for Closed {
        fn drop(&mut self) {
            GATE.add_permits(1);
        }
    }
    let fresh = Fresh::new();
    let connect = async || {
        let builder = fresh.builder().lease(Duration::from_secs(1));
        builder.connect().await.expect("connected")
    };
    let executor = connect().await;
    let closed = Closed;
    let first = Working::start(&executor);
    let run_id = Dig.create(&executor).await.expect("created");
    until("it runs", async || STARTS.load(Ordering::SeqCst) == 1).await;
    let second = Working::start(&connect().await);
    let lease_end = get(&executor, &run_id).await.lease_until.expect("a lease");
    let stopping = tokio::spawn(first.stop());
    // Its grace times are over long before two leases are.
    let renewed = async || {
        let lease = get(&executor, &run_id).await.lease_until;
        lease.is_some_and(|lease| lease.since(lease_end) > Duration::from_secs(2))
    };
    until("its lease is renewed", renewed).await;
    assert!(!stopping.is_finished(), "its worker is gone");
    assert_eq!(STARTS.load(Ordering::SeqCst), 1, "it runs twice at once");
    drop(closed);
    stopping.await.expect("the worker has stopped");
    let program = ended(&executor, &run_id).await;
    assert_eq!(
        (program.state, program.crashes),
        (ProgramState::Finished, 0)
    );
    assert_eq!(STARTS.load(Ordering::SeqCst), 1);
    second.stop().await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_ends_alone() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    let worker = || fresh.worker(WORKER).set("EXECUTOR_MAX_CRASHES", 3).start();
    let mut neighbours = Vec::new();
    for _ in 0..10 {
        neighbours.push(
            Slow { millis: 200 }
                .create(&executor)
                .await
                .expect("created"),
        );
    }
    // It is claimed with the others, and each time they die with it.
    let killer = Abort.create(&executor).await.expect("created");
    let mut process = worker();
    let mut deaths = 0;
    let all_ended = async || {
        if process.has_ended() {
            deaths += 1;
            process = worker();
        }
        let unfinished = fresh.value(
            "COUNT(*)",
            "programs WHERE finished_at IS NULL AND errored_at IS NULL",
        );
        unfinished.as_deref() == Some("0")
    };
    until("all have ended", all_ended).await;
    assert_eq!((deaths, ledger.count("abort")), (3, 3));
    let program = get(&executor, &killer).await;
    assert_eq!(
        (program.state, program.crashes),
        (ProgramState::Errored, 3),
        "{program:?}"
    );
    let message = program.error_message.as_deref();
    assert_eq!(message, Some("its worker died 3 times in this step"));
    for run_id in &neighbours {
        let program = get(&executor, run_id).await;
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    }
    process.stop().await;

    // A retry counts anew, and so does each step.
    assert!(executor.retry(&killer).await.expect("retried"));
    let program = get(&executor, &killer).await;
    assert_eq!(
        (program.state, program.crashes),
        (ProgramState::Available, 0)
    );
}
