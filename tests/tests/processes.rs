//! Several workers on one store, of one deploy or of several (G9).

#[path = "../board.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod board;
#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;

use std::collections::{BTreeSet, HashMap};

use board::{Stage, marked};
use executor::{DynProgram, ProgramState, prelude::*};
use executor_tests::{Fresh, Working, ended, until};
use jobs::Once;

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

#[tokio::test]
async fn several_processes_run_each_program_once() {
    let stage = Stage::set(|builder| builder).await;
    let ledger = stage.fresh.ledger();
    let start = |_| stage.fresh.worker(WORKER).set("EXECUTOR_SLOTS", 4).start();
    let processes: Vec<_> = (0..4).map(start).collect();
    let there = async || stage.executor.workers().await.expect("workers").len() == 4;
    until("all workers are there", there).await;
    let programs = (0..200).map(|_| Program::new(()).then(Once).then_again(Once));
    let created = stage.executor.create_many(programs).await.expect("created");
    let run_ids: Vec<_> = created
        .into_iter()
        .map(|one| one.expect("created").run_id)
        .collect();
    stage.all_finish(&run_ids).await;
    let mut runs: HashMap<_, usize> = HashMap::new();
    for entry in ledger.of("start") {
        *runs.entry((entry.run_id, entry.step)).or_default() += 1;
    }
    assert_eq!(runs.len(), 400);
    assert!(runs.values().all(|times| *times == 1), "{runs:?}");
    let pids: BTreeSet<_> = ledger
        .of("start")
        .into_iter()
        .map(|entry| entry.pid)
        .collect();
    assert!(pids.len() > 1, "one worker did it all");
    for process in processes {
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_leaves_jobs_that_it_lacks_to_others() {
    let stage = Stage::set(|builder| builder).await;
    let process = stage.fresh.worker(WORKER).start();
    let alone = stage.create(marked("alone").priority(-10)).await;
    let program = Program::new(()).then(Once).then(marked("between"));
    let between = stage.create(program.priority(-10)).await;
    let last = stage.create(Once).await;
    stage.all_finish(&[last]).await;
    until("it has gone as far as it can", async || {
        stage.get(&between).await.step == 1
    })
    .await;
    let untouched = stage.get(&alone).await;
    assert_eq!(
        (untouched.state, untouched.step),
        (ProgramState::Available, 0),
        "{untouched:?}"
    );
    let claims = stage
        .fresh
        .value("token", &format!("programs WHERE run_id = '{alone}'"));
    assert_eq!(claims.as_deref(), Some("0"), "it was claimed");
    let waits = stage.get(&between).await;
    assert_eq!(
        (waits.state, waits.lease_until),
        (ProgramState::Available, None),
        "{waits:?}"
    );
    process.stop().await;

    // This process has those jobs.
    let working = Working::start(&stage.executor);
    stage.all_finish(&[alone, between]).await;
    let order = BTreeSet::from_iter(stage.board.order());
    assert_eq!(order, ["alone", "between"].map(str::to_owned).into());
    working.stop().await;
}

#[tokio::test]
async fn a_worker_can_be_told_to_skip_or_to_fail_jobs_that_it_lacks() {
    let stage = Stage::set(|builder| builder).await;
    let program = || {
        DynProgram::new(())
            .then(Once)
            .then(marked("unknown"))
            .then(Once)
    };
    let skipped = stage.create(program().queue("skip")).await;
    let failed = stage.create(program().queue("fail")).await;
    let start = |choice| {
        let worker = stage.fresh.worker(WORKER).set("EXECUTOR_QUEUE", choice);
        worker.set("EXECUTOR_UNKNOWN_JOB", choice).start()
    };
    let processes = [start("skip"), start("fail")];
    stage.all_finish(std::slice::from_ref(&skipped)).await;
    let failed = ended(&stage.executor, &failed).await;
    assert_eq!((failed.state, failed.step), (ProgramState::Errored, 1));
    let message = failed.error_message.expect("a message");
    assert_eq!(message, "no job is named \"mark\" in this worker");
    let starts = stage.fresh.ledger().of("start");
    assert_eq!(
        starts
            .iter()
            .filter(|start| start.run_id == skipped)
            .count(),
        2
    );
    for process in processes {
        process.stop().await;
    }
}

#[tokio::test]
async fn processes_that_start_at_once_share_a_fresh_file() {
    let fresh = Fresh::new();
    let processes: Vec<_> = (0..6).map(|_| fresh.worker(WORKER).start()).collect();
    let executor = fresh.builder().connect().await.expect("connected");
    let created = executor
        .create_many((0..30).map(|_| Once))
        .await
        .expect("created");
    for created in created {
        let program = ended(&executor, &created.expect("created").run_id).await;
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    }
    assert_eq!(fresh.ledger().count("start"), 30);
    let there = async || executor.workers().await.expect("workers").len() == 6;
    until("all have started", there).await;
    for process in processes {
        process.stop().await;
    }
}
