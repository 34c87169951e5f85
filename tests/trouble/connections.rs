//! Connections that are cut, killed, or fall silent.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use executor::prelude::*;
use executor_tests::until;

use crate::{
    Make,
    behind::Behind,
    trouble::{Count, Hold, Server, Tally, all_finish, create},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_all_the_time_lose_and_repeat_nothing() {
    let Some(behind) = Behind::start(Duration::from_secs(2)).await else {
        return;
    };
    let run_ids = create(&behind.executor, 300, 5).await;
    let before = behind.tally.steps();
    let began = Instant::now();
    let mut cuts = 0;
    while began.elapsed() < Duration::from_secs(3) {
        let seen = behind.proxy.requests();
        until("something goes through", async || {
            behind.proxy.requests() > seen + 2000
        })
        .await;
        behind.proxy.cut().await;
        cuts += 1;
    }
    let meanwhile = behind.tally.steps() - before;
    all_finish(&behind.executor, &run_ids, 5).await;
    assert_eq!(behind.tally.repeated(), []);
    assert_eq!(behind.tally.steps() - before, 300 * 5);
    assert!(cuts > 10, "only {cuts} cuts");
    assert!(meanwhile > 0, "nothing ran between {cuts} cuts");
    behind.working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_that_are_terminated_lose_and_repeat_nothing() {
    let Some(behind) = Behind::start(Duration::from_secs(2)).await else {
        return;
    };
    let run_ids = create(&behind.executor, 300, 5).await;
    let began = Instant::now();
    let mut killed = 0;
    while began.elapsed() < Duration::from_secs(2) {
        let seen = behind.proxy.requests();
        until("something goes through", async || {
            behind.proxy.requests() > seen + 4000
        })
        .await;
        killed += Make::kill_all(&behind.fresh).await;
    }
    let executor = behind.fresh.builder().state(Arc::clone(&behind.tally));
    let executor = executor.connect().await.expect("connected");
    all_finish(&executor, &run_ids, 5).await;
    assert_eq!(behind.tally.repeated(), []);
    assert!(killed > 20, "only {killed} were there to be killed");
    behind.working.stop().await;
}

/// Waits at the gate, and returns something that nobody mistakes.
#[job]
async fn remark(ctx: Context, tally: State<Arc<Tally>>) -> Result<String, JobError> {
    tally.note(&ctx);
    tally.gate.acquire().await?.forget();
    Ok("remarkable".to_owned())
}

/// While a commit fails, the database is asked whether it can hold its values; and just then the connection
/// ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_is_no_refusal_of_a_value() {
    const ASKED: &[&str] = &[Make::HOLDS, "remarkable"];
    let Some(mut behind) = Behind::start(Duration::from_secs(10)).await else {
        return;
    };
    let run_id = Remark.create(&behind.executor).await.expect("created");
    until("it runs", async || behind.tally.of(&run_id, 0) == 1).await;
    behind.fresh.close("programs");
    behind.proxy.stall_answers_after(ASKED);
    behind.tally.gate.add_permits(1);
    until("it is asked", async || behind.proxy.stalls_answers()).await;
    behind.proxy.cut().await;
    behind.proxy.resume().await;
    let seen = behind.proxy.requests();
    until("it has come back", async || {
        behind.proxy.requests() > seen + 2000
    })
    .await;
    behind.fresh.reopen("programs");
    all_finish(&behind.executor, &[run_id], 1).await;
    assert_eq!(behind.tally.repeated(), []);
    behind.working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_given_up_for_new_ones() {
    let Some(behind) = Behind::start(Duration::from_millis(1500)).await else {
        return;
    };
    let held = Program::new(()).then(Hold).then(Count);
    let held = held.create(&behind.executor).await.expect("created");
    until("it runs", async || behind.tally.of(&held, 0) == 1).await;
    // The more connections there are, the more are dead.
    let stats = || behind.through.stats();
    let all = tokio::join!(stats(), stats(), stats(), stats(), stats(), stats());
    assert!(all.0.is_ok() && all.5.is_ok());
    behind.proxy.silence();
    let silent = Instant::now();
    let through = create(&behind.through, 3, 1).await;
    let created = silent.elapsed();
    let run_ids = create(&behind.executor, 20, 3).await;
    all_finish(&behind.executor, &run_ids, 3).await;
    let took = silent.elapsed();
    // The slow poll, a claim's deadline, and that of a commit.
    assert!(took < Duration::from_secs(8), "it took {took:?}");
    all_finish(&behind.executor, &through, 1).await;
    until("more than a lease is over", async || {
        silent.elapsed() > Duration::from_secs(4)
    })
    .await;
    behind.tally.gate.add_permits(1);
    all_finish(&behind.executor, std::slice::from_ref(&held), 2).await;
    assert_eq!(behind.tally.repeated(), []);
    assert!(created < Duration::from_secs(4), "it took {created:?}");
    behind.working.stop().await;
}
