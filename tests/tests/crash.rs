//! A worker may be killed at any moment: its programs go on from what was durable (G1, G2, G3, G5).

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime},
};

use executor::{
    DynProgram, Executor, Filter, ProgramState, RunId, Timestamp, WorkerInfo, prelude::*,
};
use executor_tests::{Entry, Fresh, Store, ended, until};
use jobs::{Family, Gate, Pages};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
const STEPS: usize = 5;
const PAGES: u32 = 4;
const KILLS: usize = 50;

/// Numbers that differ from one another, and are the same in each run of the test.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

async fn create(executor: &Executor, count: usize) -> Vec<RunId> {
    let mut run_ids = Vec::new();
    for _ in 0..count {
        let program = (0..STEPS).fold(DynProgram::new(()), |program, _| {
            program.then(Pages {
                pages: PAGES,
                millis: 8,
                page: 0,
            })
        });
        run_ids.push(program.create(executor).await.expect("created"));
    }
    run_ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_lose_repeat_and_reorder_nothing() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    // The crashes of a step are counted; here none of them is the step's fault.
    let worker = || {
        fresh
            .worker(WORKER)
            .set("EXECUTOR_MAX_CRASHES", 1000)
            .set("EXECUTOR_SLOTS", 8)
    };
    let mut run_ids = create(&executor, 20).await;
    let mut draw = Draw(7);
    for kill in 0..KILLS {
        let unfinished = Filter::new()
            .state(ProgramState::Running)
            .state(ProgramState::Available);
        if executor.list(unfinished).await.expect("a list").len() < 8 {
            run_ids.extend(create(&executor, 12).await);
        }
        let seen = ledger.entries().len();
        let process = worker().start();
        until(&format!("worker {kill} works"), async || {
            ledger.entries().len() > seen
        })
        .await;
        tokio::time::sleep(Duration::from_micros(draw.below(60_000))).await;
        process.kill();
    }
    let last = worker().start();
    for run_id in &run_ids {
        let program = ended(&executor, run_id).await;
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        assert_eq!(
            (program.step, program.step_retry_count),
            (STEPS, 0),
            "{program:?}"
        );
        for key in ["pages", "pages#2", "pages#3", "pages#4", "pages#5"] {
            assert_eq!(program.outputs[key], PAGES, "{program:?}");
        }
    }
    last.stop().await;

    let mut of_programs: HashMap<RunId, Vec<Entry>> = HashMap::new();
    for entry in ledger.entries() {
        of_programs
            .entry(entry.run_id.clone())
            .or_default()
            .push(entry);
    }
    assert_eq!(of_programs.len(), run_ids.len());
    let reruns: usize = of_programs
        .values()
        .map(|entries| check_history(entries))
        .sum();
    assert!(
        reruns > KILLS,
        "only {reruns} bodies were interrupted: the kills come at bad moments"
    );
}

/// Checks what one program's jobs did, in order; how many bodies ran again.
fn check_history(entries: &[Entry]) -> usize {
    let (mut reruns, mut acknowledged, mut step, mut ran, mut pids) = (0, 0, 0, false, Vec::new());
    for entry in entries {
        if entry.what == "start" {
            if entry.step == step && ran {
                reruns += 1;
            } else {
                assert_eq!(
                    entry.step,
                    step + usize::from(ran),
                    "a step was left out: {entries:?}"
                );
                (step, ran, acknowledged) = (entry.step, true, 0);
                pids.clear();
            }
            assert!(
                !pids.contains(&entry.pid),
                "again in a live worker: {entry:?} {entries:?}"
            );
            pids.push(entry.pid);
            // One page may be durable and not acknowledged: the kill came between the two.
            assert!(
                (acknowledged..=acknowledged + 1).contains(&entry.number),
                "it goes on from page {}, and {acknowledged} was saved: {entries:?}",
                entry.number,
            );
            acknowledged = entry.number;
        } else {
            assert_eq!(
                entry.step, step,
                "an earlier step was not at its end: {entries:?}"
            );
            assert_eq!(pids.last(), Some(&entry.pid), "two at once: {entries:?}");
            acknowledged = acknowledged.max(entry.number);
        }
        if entry.what == "end" {
            assert_eq!(entry.number, PAGES);
        }
    }
    assert_eq!((step, acknowledged), (STEPS - 1, PAGES), "{entries:?}");
    reruns
}

#[tokio::test]
async fn a_killed_workers_programs_go_to_a_living_one_at_once() {
    // By the lock that the system takes from a dead process.
    let Some(fresh) = Fresh::only_on(Store::Sqlite) else {
        return;
    };
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    let lease = Duration::from_secs(600);
    let first = fresh.worker(WORKER).lease(lease).start();
    let file = fresh.folder().join("never there").display().to_string();
    let run_id = Gate { file, page: 0 }
        .create(&executor)
        .await
        .expect("created");
    until("it has saved a page", async || ledger.count("saved") > 0).await;
    let second = fresh.worker(WORKER).lease(lease).start();
    until("both are there", async || {
        executor.workers().await.expect("workers").len() == 2
    })
    .await;
    let killed = Instant::now();
    first.kill();
    let program = ended(&executor, &run_id).await;
    let took = killed.elapsed();
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    assert!(took < Duration::from_secs(5), "the takeover took {took:?}");
    let starts = ledger.of("start");
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert_eq!(starts[1].pid, second.pid());
    assert_eq!(
        starts[1].number, 1,
        "it did not go on from what was saved: {starts:?}"
    );
    second.stop().await;
}

#[tokio::test]
async fn a_killed_workers_programs_start_when_its_lease_ends_and_not_before() {
    let fresh = Fresh::new();
    if fresh.store() == Store::Sqlite {
        return;
    }
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    let lease = Duration::from_secs(2);
    let first = fresh.worker(WORKER).lease(lease).start();
    let file = fresh.folder().join("never there").display().to_string();
    let gate = Gate { file, page: 0 };
    let run_id = gate.create(&executor).await.expect("created");
    until("it has saved a page", async || ledger.count("saved") > 0).await;
    let second = fresh.worker(WORKER).lease(lease).start();
    // A worker takes over what others held when its connection has been up for a lease.
    until("both are there", async || {
        let workers = executor.workers().await.expect("workers");
        let up = |worker: &WorkerInfo| worker.seen_at.since(worker.started_at) > lease;
        workers.len() == 2 && workers.iter().all(up)
    })
    .await;
    first.kill();
    let killed = executor.get(&run_id).await.expect("read").expect("there");
    let lease_end = killed.lease_until.expect("it was running");
    until("it runs again", async || ledger.count("start") == 2).await;
    let started = Timestamp::from(SystemTime::now());
    assert!(
        started >= lease_end,
        "it was taken early: {started}, {lease_end}"
    );
    let late = started.since(lease_end);
    assert!(late < Duration::from_secs(1), "it was taken {late:?} late");
    assert_eq!(ledger.of("start")[1].pid, second.pid());
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    second.stop().await;
}

/// The database's clock has gone back since its lease was written (SEMANTICS §2.5).
#[tokio::test]
async fn a_killed_workers_lease_that_ends_far_ahead_is_waited_for_no_longer_than_one() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    let lease = Duration::from_secs(1);
    let first = fresh.worker(WORKER).lease(lease).start();
    let file = fresh.folder().join("never there").display().to_string();
    let gate = Gate { file, page: 0 };
    let run_id = gate.create(&executor).await.expect("created");
    until("it has saved a page", async || ledger.count("saved") > 0).await;
    let second = fresh.worker(WORKER).lease(lease).start();
    until("both are there", async || {
        executor.workers().await.expect("workers").len() == 2
    })
    .await;
    // So that the living one does not see what the other leaves before the clock has gone back.
    until("it is frozen between two writes", async || {
        second.freeze();
        let writable = fresh.is_writable();
        if !writable {
            second.thaw();
        }
        writable
    })
    .await;
    first.kill();
    fresh.sql("UPDATE programs SET lease_until = lease_until + 86400000");
    fresh.sql(&format!(
        "UPDATE programs_workers SET seen_at = seen_at + 86400000 WHERE pid <> {}",
        second.pid()
    ));
    second.thaw();
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    let starts = ledger.of("start");
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert_eq!(starts[1].pid, second.pid());
    second.stop().await;
}

#[tokio::test]
async fn a_kill_doubles_and_loses_no_children() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    let gate = fresh.folder().join("gate");
    let family = Family {
        before: 3,
        after: 2,
        file: gate.display().to_string(),
        saved: false,
    };
    let run_id = family.create(&executor).await.expect("created");
    for attempt in 1..=3 {
        let process = fresh.worker(WORKER).start();
        until("the children are started", async || {
            ledger.count("started") == attempt
        })
        .await;
        process.kill();
        let children = executor.children(&run_id).await.expect("children");
        assert_eq!(
            children.len(),
            3,
            "those with saved progress are there, and no others"
        );
    }
    std::fs::write(&gate, "").expect("an open gate");
    let process = fresh.worker(WORKER).start();
    assert_eq!(
        ended(&executor, &run_id).await.state,
        ProgramState::Finished
    );
    let children = executor.children(&run_id).await.expect("children");
    assert_eq!(children.len(), 5);
    for child in &children {
        let child = ended(&executor, child).await;
        assert_eq!(child.state, ProgramState::Finished);
        assert_eq!(child.parent_run_id.as_ref(), Some(&run_id));
    }
    process.stop().await;
}
