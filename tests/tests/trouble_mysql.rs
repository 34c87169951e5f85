//! Connections and servers in trouble, on MySQL and MariaDB: nothing is lost, and nothing runs twice.

#[path = "../trouble/answers.rs"]
mod answers;
#[path = "../trouble/behind.rs"]
mod behind;
#[path = "../trouble/connections.rs"]
mod connections;
#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;
#[path = "../trouble/locks.rs"]
mod locks;
#[path = "../trouble/outages.rs"]
mod outages;
#[path = "../trouble.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod trouble;

use executor_tests::{Settings, until};
use trouble::{Log, Site};

type Db = executor::MySql;
type Make = executor_tests::MariaDb;
const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

/// What a worker warns of on such a server.
async fn warnings(settings: Settings) -> Option<Vec<String>> {
    let site = Site::<Make>::start(settings).await?;
    let log = Log::of(&site.fresh, "log");
    let worker = site.fresh.worker(WORKER).log(log.file()).start();
    until("it works", async || !log.lines("working").is_empty()).await;
    worker.stop().await;
    Some(log.lines(" WARN "))
}

#[tokio::test]
async fn a_worker_warns_of_a_server_that_may_forget_commits() {
    let settings = Settings::default().set("innodb-flush-log-at-trx-commit", 2);
    let Some(warnings) = warnings(settings).await else {
        return;
    };
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let told = warnings[0].contains("innodb_flush_log_at_trx_commit = 2: ");
    assert!(told, "{warnings:?}");
}

#[tokio::test]
async fn a_worker_warns_of_a_binary_log_that_is_not_synced() {
    let log = |sync| {
        Settings::default()
            .set("log-bin", "log")
            .set("sync-binlog", sync)
    };
    let Some(weak) = warnings(log(0)).await else {
        return;
    };
    assert_eq!(weak.len(), 1, "{weak:?}");
    assert!(weak[0].contains("runs with sync_binlog = 0: "), "{weak:?}");
    assert_eq!(warnings(log(1)).await, Some(Vec::new()));
}
