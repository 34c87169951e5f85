//! A database that refuses: one step, or all for a while.

#[path = "../neighbours.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod neighbours;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use executor::{ProgramState, prelude::*};
use executor_tests::{Fresh, Store, Working, until};
use neighbours::{Good, Stage, assert_errored};

#[tokio::test]
async fn a_step_that_the_database_refuses_ends_alone() {
    #[job]
    async fn sized(bytes: usize) -> Result<String, JobError> {
        Ok("x".repeat(bytes))
    }
    let mut stage = Stage::set().await;
    let text = match stage.fresh.store() {
        Store::Sqlite | Store::Postgres => "CAST(outputs AS TEXT)",
        Store::MySql => "CAST(outputs AS CHAR)",
    };
    stage.fresh.sql(&match stage.fresh.store() {
        Store::Sqlite => {
            format!("ALTER TABLE programs ADD COLUMN mine INTEGER CHECK (length({text}) < 1000)")
        }
        _ => format!("ALTER TABLE programs ADD CONSTRAINT mine CHECK (length({text}) < 1000)"),
    });
    let mut small = Vec::new();
    let mut large = Vec::new();
    for _ in 0..20 {
        small.push(stage.create(Sized { bytes: 10 }).await);
        large.push(stage.create(Sized { bytes: 2000 }).await);
    }
    stage.all_good(&small).await;
    for run_id in large {
        let program = stage.ended(&run_id).await;
        assert_errored(&program, "could not be stored: ");
        let reason = match stage.fresh.store() {
            Store::Sqlite => "CHECK constraint failed",
            Store::Postgres => "violates check constraint \"mine\"",
            Store::MySql => "mine",
        };
        assert_errored(&program, reason);
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_store_that_refuses_all_writes_for_a_while_loses_nothing() {
    let mut stage = Stage::set().await;
    let first = stage.create(Good).await;
    stage.all_good(&[first]).await;
    stage.fresh.close("programs");
    let waits = stage.create(Good).await;
    let closed = Instant::now();
    // Several claims are refused meanwhile.
    until("a second is over", async || {
        closed.elapsed() > Duration::from_secs(1)
    })
    .await;
    let state = stage
        .executor
        .get(&waits)
        .await
        .expect("read")
        .expect("there")
        .state;
    assert_eq!(state, ProgramState::Available);
    stage.fresh.reopen("programs");
    stage.all_good(&[waits]).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_locked_for_longer_than_a_lease_loses_and_repeats_nothing() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    static GATE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(0);
    #[job]
    async fn patient() -> Result<(), JobError> {
        STARTED.fetch_add(1, Ordering::SeqCst);
        GATE.acquire().await?.forget();
        Ok(())
    }
    // On a server nobody can hold up all writes of others.
    let Some(fresh) = Fresh::only_on(Store::Sqlite) else {
        return;
    };
    let builder = fresh.builder().lease(Duration::from_secs(1));
    let executor = builder.connect().await.expect("connected");
    let mut stage = Stage {
        fresh,
        executor,
        working: None,
    };
    let mut run_ids = Vec::new();
    for _ in 0..10 {
        run_ids.push(
            stage
                .create(Program::new(()).then(Patient).then(Good))
                .await,
        );
    }
    stage.working = Some(Working::start(&stage.executor));
    until("all run", async || STARTED.load(Ordering::SeqCst) == 10).await;
    let mut conn = stage.fresh.connection();
    conn.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let locked = Instant::now();
    // Half of them end under the lock.
    GATE.add_permits(5);
    until("three leases are over", async || {
        locked.elapsed() > Duration::from_secs(3)
    })
    .await;
    conn.batch_execute("ROLLBACK").expect("unlocked");
    GATE.add_permits(5);
    stage.all_good(&run_ids).await;
    assert_eq!(STARTED.load(Ordering::SeqCst), 10, "a body ran again");
    stage.stop().await;
}

#[tokio::test]
async fn a_worker_whose_heartbeats_fail_takes_nothing_over_from_itself() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    static GATE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(0);
    #[job]
    async fn lonely() -> Result<(), JobError> {
        STARTED.fetch_add(1, Ordering::SeqCst);
        GATE.acquire().await?.forget();
        Ok(())
    }
    let fresh = Fresh::new();
    let builder = fresh.builder().lease(Duration::from_millis(500));
    let executor = builder.connect().await.expect("connected");
    let mut stage = Stage {
        fresh,
        executor,
        working: None,
    };
    let run_id = stage.create(Lonely).await;
    stage.working = Some(Working::start(&stage.executor));
    until("it runs", async || STARTED.load(Ordering::SeqCst) == 1).await;
    // Each beat touches the worker's own row first.
    stage.fresh.close("programs_workers");
    let lease = async || {
        let program = stage.executor.get(&run_id).await.expect("read");
        program.expect("there").lease_until.expect("a lease")
    };
    let first = lease().await;
    let renewed = async || lease().await.since(first) > Duration::from_secs(2);
    until("its claims have renewed the lease", renewed).await;
    assert_eq!(STARTED.load(Ordering::SeqCst), 1, "the body runs twice");
    GATE.add_permits(1);
    stage.all_good(std::slice::from_ref(&run_id)).await;
    let program = stage.executor.get(&run_id).await.expect("read");
    assert_eq!(program.expect("there").crashes, 0);
    assert_eq!(STARTED.load(Ordering::SeqCst), 1);
    stage.stop().await;
}
