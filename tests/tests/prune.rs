//! Old programs are deleted, and no others.

use std::time::Duration;

use executor::{Filter, ProgramState, Prune, prelude::*};
use executor_tests::{Fresh, Store, Working, ended, until};

#[job]
async fn small() -> Result<(), JobError> {
    Ok(())
}

#[tokio::test]
async fn only_what_ended_long_enough_ago_is_pruned() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let mut run_ids = Vec::new();
    for _ in 0..8 {
        run_ids.push(Small.create(&executor).await.expect("created"));
    }
    // As our workers, as people and as program-executor's workers write it; the last is unfinished.
    let on_sqlite = [
        "finished_at = strftime('%Y-%m-%d %H:%M:%f', 'now', '-2 days')",
        "errored_at = strftime('%Y-%m-%d %H:%M:%f', 'now', '-2 days')",
        "errored_at = (unixepoch() - 172800) * 1000",
        "finished_at = strftime('%Y-%m-%d %H:%M:%f +00:00', 'now', '-2 days')",
        "finished_at = CURRENT_TIMESTAMP",
        "errored_at = unixepoch('subsec') * 1000",
        "errored_at = CURRENT_TIMESTAMP, finished_at = datetime('now', '-2 days')",
        "created_at = datetime('now', '-2 days')",
    ];
    let on_a_server = [
        "finished_at = CURRENT_TIMESTAMP - INTERVAL '2' DAY",
        "errored_at = CURRENT_TIMESTAMP - INTERVAL '2' DAY",
        "errored_at = CURRENT_TIMESTAMP - INTERVAL '25' HOUR",
        "finished_at = CURRENT_TIMESTAMP - INTERVAL '1441' MINUTE",
        "finished_at = CURRENT_TIMESTAMP",
        "errored_at = CURRENT_TIMESTAMP - INTERVAL '23' HOUR",
        "errored_at = CURRENT_TIMESTAMP, finished_at = CURRENT_TIMESTAMP - INTERVAL '2' DAY",
        "created_at = CURRENT_TIMESTAMP - INTERVAL '2' DAY",
    ];
    let ends = match fresh.store() {
        Store::Sqlite => on_sqlite,
        Store::Postgres | Store::MySql => on_a_server,
    };
    for (run_id, end) in run_ids.iter().zip(ends) {
        assert_eq!(
            fresh.sql(&format!(
                "UPDATE programs SET {end} WHERE run_id = '{run_id}'"
            )),
            1
        );
    }
    let day = Duration::from_secs(86_400);
    assert_eq!(executor.count_prunable(day).await.expect("counted"), 4);
    let errored = Prune::older_than(day).state(ProgramState::Errored);
    assert_eq!(executor.count_prunable(errored).await.expect("counted"), 2);
    let elsewhere = Prune::older_than(day).queue("elsewhere");
    assert_eq!(executor.prune(elsewhere).await.expect("pruned"), 0);
    let unfinished = Prune::older_than(day).state(ProgramState::Available);
    assert_eq!(executor.prune(unfinished).await.expect("pruned"), 0);
    assert_eq!(
        executor
            .prune(Duration::from_secs(86_400))
            .await
            .expect("pruned"),
        4
    );
    for (n, run_id) in run_ids.iter().enumerate() {
        let there = executor.get(run_id).await.expect("read").is_some();
        assert_eq!(there, n >= 4, "{}", ends[n]);
    }
}

#[job]
async fn fail_always() -> Result<(), JobError> {
    Err(JobError::fatal("as ever"))
}

#[tokio::test]
async fn workers_keep_to_the_retention_of_each_queue_and_state() {
    let fresh = Fresh::new();
    let executor = fresh
        .builder()
        .queues(["default", "audit", "short"])
        .retain_finished("1s")
        .retain_finished_of("audit", "forever")
        .retain_errored("1h")
        .retain_errored_of("short", "1s")
        .connect()
        .await
        .expect("connected");
    let gone = [
        Small.create(&executor).await.expect("created"),
        Small
            .queue("short")
            .create(&executor)
            .await
            .expect("created"),
        FailAlways
            .queue("short")
            .create(&executor)
            .await
            .expect("created"),
    ];
    let kept = [
        Small
            .queue("audit")
            .create(&executor)
            .await
            .expect("created"),
        FailAlways.create(&executor).await.expect("created"),
        Small
            .run_after(Duration::from_secs(3600))
            .create(&executor)
            .await
            .expect("created"),
    ];
    let workers = [Working::start(&executor), Working::start(&executor)];
    for run_id in &kept[..2] {
        ended(&executor, run_id).await;
    }
    let is_there = async |run_id| executor.get(run_id).await.expect("read").is_some();
    for run_id in &gone {
        until("it is deleted", async || !is_there(run_id).await).await;
    }
    for run_id in &kept {
        assert!(is_there(run_id).await, "{run_id}");
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn without_a_retention_everything_is_kept() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let run_id = Small.create(&executor).await.expect("created");
    // Its pruner does go its rounds: a key of the past is forgotten.
    let key = Small
        .unique_for("k", Duration::from_millis(1))
        .run_after(Duration::from_secs(3600));
    key.create(&executor).await.expect("created");
    let working = Working::start(&executor);
    ended(&executor, &run_id).await;
    until("the key is forgotten", async || {
        fresh.sql("UPDATE programs_unique SET held_until = held_until") == 0
    })
    .await;
    assert!(executor.get(&run_id).await.expect("read").is_some());
    working.stop().await;
}

/// A process that prunes dies somewhere between two batches, or within one.
#[tokio::test]
async fn a_kill_in_the_middle_leaves_whole_batches() {
    const ALL: usize = 30_000;
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let programs = (0..ALL).map(|_| Small.queue("far"));
    executor.create_many(programs).await.expect("stored");
    let waits = Small.queue("far").create(&executor).await.expect("created");
    let far = Filter::new().queue("far").limit(ALL);
    assert_eq!(executor.cancel_all(far).await.expect("cancelled").done, ALL);
    let left = async || executor.count_prunable(Duration::ZERO).await.expect("read");
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_test-app"))
        .args(["prune", "--older-than", "0s"])
        .env("DATABASE_URL", fresh.url())
        .spawn()
        .expect("it starts");
    until("it has begun", async || left().await < ALL).await;
    process.kill().expect("it runs");
    process.wait().expect("its status");
    // What it had sent last may still come to its end at the server, or not.
    let mut rest = 0;
    until("all is done", async || {
        rest += executor.prune(Duration::ZERO).await.expect("pruned");
        left().await == 0
    })
    .await;
    assert!(rest > 0, "it was not in the middle");
    assert!(
        rest < ALL && rest % 1000 == 0,
        "batches are whole: {rest} were left"
    );
    let waits = executor.get(&waits).await.expect("read").expect("there");
    assert_eq!(waits.state, ProgramState::Available);
}
