//! What a worker takes at once, and that it gives all of it back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use executor::{ProgramState, prelude::*};
use executor_tests::{Fresh, Store, Working, ended};
use tokio::sync::Semaphore;

/// Counts how much is held at once; bodies wait at its gate.
struct Scale {
    held: AtomicUsize,
    most: AtomicUsize,
    gate: Semaphore,
}

#[job]
async fn hold(data: ProgramData<String>, scale: State<Arc<Scale>>) -> Result<(), JobError> {
    let held = scale.held.fetch_add(data.len(), SeqCst) + data.len();
    scale.most.fetch_max(held, SeqCst);
    drop(scale.gate.acquire().await?);
    scale.held.fetch_sub(data.len(), SeqCst);
    Ok(())
}

#[job(concurrency = 1)]
async fn narrow(number: u64) -> Result<u64, JobError> {
    Ok(number)
}

fn scale(permits: usize) -> Arc<Scale> {
    let gate = Semaphore::new(permits);
    Arc::new(Scale {
        held: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        gate,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_byte_budget_is_the_same_after_programs_that_went_beyond_it() {
    const BUDGET: usize = 1 << 20;
    let fresh = Fresh::new();
    let scale = scale(1);
    let builder = fresh
        .builder()
        .memory_budget(BUDGET)
        .state(Arc::clone(&scale));
    let executor = builder.connect().await.expect("connected");
    let working = Working::start(&executor);
    let program = |bytes| Program::new("x".repeat(bytes)).then(Hold);
    for _ in 0..5 {
        let large = program(3 * BUDGET)
            .create(&executor)
            .await
            .expect("created");
        assert_eq!(ended(&executor, &large).await.state, ProgramState::Finished);
    }
    scale.most.store(0, SeqCst);
    let small = (0..20).map(|_| program(BUDGET * 9 / 10));
    for created in executor.create_many(small).await.expect("stored") {
        ended(&executor, &created.expect("created").run_id).await;
    }
    let most = scale.most.load(SeqCst);
    assert!(most <= 2 * BUDGET, "{most} bytes were held at once");
    working.stop().await;
}

#[tokio::test]
async fn the_room_of_a_job_comes_back_from_a_row_that_cannot_be_read() {
    let fresh = Fresh::new();
    let executor = fresh
        .builder()
        .state(scale(1))
        .connect()
        .await
        .expect("connected");
    let spoilt = Narrow { number: 1 }
        .create(&executor)
        .await
        .expect("created");
    fresh.sql("UPDATE programs SET job_data = '[7]'");
    let working = Working::start(&executor);
    assert_eq!(ended(&executor, &spoilt).await.state, ProgramState::Errored);
    let next = Narrow { number: 2 }
        .create(&executor)
        .await
        .expect("created");
    assert_eq!(ended(&executor, &next).await.state, ProgramState::Finished);
    working.stop().await;
}

#[tokio::test]
async fn a_handle_that_was_shut_down_starts_nothing_more() {
    let fresh = Fresh::new();
    let scale = scale(1);
    let executor = fresh
        .builder()
        .state(Arc::clone(&scale))
        .connect()
        .await
        .expect("connected");
    let run_id = Program::new("x".to_owned())
        .then(Hold)
        .create(&executor)
        .await
        .expect("created");
    executor.shutdown().await;
    executor
        .work_until(std::future::pending())
        .await
        .expect("it stops at once");
    assert_eq!(scale.most.load(SeqCst), 0);
    let program = executor.get(&run_id).await.expect("read").expect("there");
    assert_eq!(
        (program.state, program.crashes),
        (ProgramState::Available, 0)
    );
}

#[tokio::test]
async fn a_file_has_one_name_however_it_is_reached() {
    let Some(fresh) = Fresh::only_on(Store::Sqlite) else {
        return;
    };
    let scale = scale(0);
    let builder = || {
        fresh
            .builder()
            .lease(std::time::Duration::from_secs(60))
            .state(Arc::clone(&scale))
    };
    let direct = builder().connect().await.expect("connected");
    let run_id = Program::new("x".to_owned())
        .then(Hold)
        .create(&direct)
        .await
        .expect("created");
    let first = Working::start(&direct);
    executor_tests::until("it runs", async || scale.held.load(SeqCst) == 1).await;
    // Another worker comes by a link: the first one lives for it as well.
    let link = fresh.folder().join("elsewhere");
    std::fs::create_dir(&link).expect("a folder");
    let link = link.join("link.db");
    std::os::unix::fs::symlink(fresh.file(), &link).expect("a link");
    let linked = builder()
        .database_url(format!("sqlite:{}", link.display()))
        .connect()
        .await
        .expect("connected");
    assert_eq!(linked.workers().await.expect("read").len(), 1);
    let second = Working::start(&linked);
    let other = Narrow { number: 1 }.create(&linked).await.expect("created");
    ended(&linked, &other).await;
    let program = linked.get(&run_id).await.expect("read").expect("there");
    assert_eq!((program.state, program.crashes), (ProgramState::Running, 0));
    scale.gate.add_permits(1);
    assert_eq!(ended(&linked, &run_id).await.state, ProgramState::Finished);
    assert_eq!(scale.most.load(SeqCst), 1, "one body alone has run");
    first.stop().await;
    second.stop().await;
}
