//! Old programs are deleted, and no others.

use std::time::Duration;

use executor::prelude::*;
use executor_tests::{Fresh, Store};

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
