//! A worker's memory is bounded by its byte budget, not by the backlog (G11).

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;

use executor::prelude::*;
use executor_tests::{Fresh, Store, until};
use jobs::Weigh;

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
const MIB: usize = 1 << 20;

/// What a process has used at most so far, in bytes.
fn peak_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("its peak");
    let kib = line.split_whitespace().nth(1).expect("a number");
    kib.parse::<usize>().expect("a number") * 1024
}

#[tokio::test]
async fn a_backlog_of_large_programs_does_not_fill_the_memory() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let programs = (0..200).map(|_| Program::new(String::new()).then(Weigh { millis: 20 }));
    let created = executor.create_many(programs).await.expect("created");
    assert!(created.iter().all(Result::is_ok));
    // By hand, which is faster than through this process.
    let value = match fresh.store() {
        Store::Sqlite => format!("json_quote(printf('%.*c', {MIB}, 'x'))"),
        Store::Postgres => format!("to_jsonb(repeat('x', {MIB}))"),
        Store::MySql => format!("json_quote(repeat('x', {MIB}))"),
    };
    let large = format!("UPDATE programs SET program_data = {value}");
    assert_eq!(fresh.sql(&large), 200);
    let process = fresh
        .worker(WORKER)
        .set("EXECUTOR_SLOTS", 200)
        .set("TEST_MEMORY_BUDGET", 8 * MIB)
        .start();
    let weigh = match fresh.store() {
        Store::Sqlite => "CAST(outputs ->> 'weigh' AS TEXT)",
        Store::Postgres => "outputs ->> 'weigh'",
        Store::MySql => "json_value(outputs, '$.weigh')",
    };
    let ended = || {
        let whole = format!("programs WHERE finished_at IS NOT NULL AND {weigh} = '{MIB}'");
        fresh.value("COUNT(*)", &whole)
    };
    until("all have run", async || ended().as_deref() == Some("200")).await;
    let peak = peak_memory(process.pid());
    // Each program's data stands there as the database's text, as ours and as the job's own; the
    // rest is the process itself, the caches of its connections, and what the allocator keeps for each
    // thread (100 to 140 MiB in all). Without the budget it is more than 800.
    assert!(peak < 200 * MIB, "{} MiB", peak / MIB);
    process.stop().await;
}
