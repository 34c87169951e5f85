//! A frozen worker that wakes up changes nothing once another has taken its program (G6).

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;

use std::time::Duration;

use executor::{ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Process, Store, ended, until};
use jobs::{Gate, Once};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

#[tokio::test]
async fn a_frozen_worker_that_wakes_up_changes_nothing() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    // It is told to end when it wakes up, and then has time enough to write all it wants to.
    let worker = || {
        let worker = fresh.worker(WORKER).lease(Duration::from_secs(1));
        worker.set("EXECUTOR_CANCEL_GRACE", "1m")
    };
    let frozen = worker().start();
    let file = fresh.folder().join("gate");
    let gate = Gate {
        file: file.display().to_string(),
        page: 0,
    };
    let run_id = gate.create(&executor).await.expect("created");
    until("it has saved a page", async || ledger.count("saved") == 1).await;
    let held = executor.get(&run_id).await.expect("read").expect("there");

    freeze_between_writes(&frozen, &fresh).await;
    let second = worker().start();
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Finished);
    assert_eq!(program.output(), Some(&second.pid().into()));
    assert_eq!(program.job_data["gate"]["page"], 10);
    let starts = ledger.of("start");
    assert_eq!(
        starts.iter().map(|start| start.pid).collect::<Vec<_>>(),
        [frozen.pid(), second.pid()]
    );
    let lease_end = held.lease_until.expect("it ran");
    assert!(
        program.finished_at >= Some(lease_end),
        "it was taken before its lease was over"
    );
    second.stop().await;

    let row = || {
        let all = "run_id, jobs, step, step_retry_count, program_data, job_data, outputs, finished_at, \
                   errored_at, error_message, errors, updated_at, token, rev, worker, lease_until, \
                   available_at, ready, crashes";
        let array = match fresh.store() {
            Store::Postgres => "jsonb_build_array",
            Store::Sqlite | Store::MySql => "json_array",
        };
        let from = format!("programs WHERE run_id = '{run_id}'");
        fresh
            .value(&format!("{array}({all})"), &from)
            .expect("a row")
    };
    let before = row();
    std::fs::write(&file, "").expect("an open gate");
    frozen.thaw();
    until("it has tried to save", async || {
        ledger.count("refused") == 1
    })
    .await;
    // It is as good as before: when it has ended its stale program, it takes another.
    let next: RunId = Once.create(&executor).await.expect("created");
    assert_eq!(ended(&executor, &next).await.state, ProgramState::Finished);
    frozen.stop().await;
    assert_eq!(row(), before);
    assert_eq!(ledger.count("saved"), 1, "its page was accepted");
}

/// Freezes a worker. On SQLite one that stands still within a write holds up everybody else's, so
/// that there would be nobody to be fenced against.
async fn freeze_between_writes(worker: &Process, fresh: &Fresh) {
    let frozen = async || {
        worker.freeze();
        let writable = fresh.is_writable();
        if !writable {
            worker.thaw();
        }
        writable
    };
    until("it is frozen between two writes", frozen).await;
}
