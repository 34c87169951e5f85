//! What is done to all programs that match: whole, whatever dies on the way.

use executor::{BulkVerb, Filter, ProgramState, prelude::*};
use executor_tests::{Fresh, Working, ended, until};
use serde_json::json;

#[job]
async fn deliver(to: String, address: Option<String>) -> Result<(), JobError> {
    match address {
        Some(_) => Ok(()),
        None => Err(JobError::fatal(format!("no address of {to}"))),
    }
}

/// Runs until it is asked to end.
#[job]
async fn wait_for_ever(ctx: Context) -> Result<(), JobError> {
    ctx.cancelled().await;
    ctx.check_cancelled()
}

#[tokio::test]
async fn running_programs_are_cancelled_and_then_retried() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let mut run_ids = Vec::new();
    for customer in 0..6 {
        let program = WaitForEver.attributes(json!({ "customer": customer % 2 }));
        run_ids.push(program.create(&executor).await.expect("created"));
    }
    let working = Working::start(&executor);
    let running = Filter::new().state(ProgramState::Running);
    until("all run", async || {
        executor.list(running.clone()).await.expect("read").len() == 6
    })
    .await;
    let mine = running.clone().attribute("customer", 1);
    assert_eq!(
        executor
            .count_for(BulkVerb::Cancel, mine.clone())
            .await
            .expect("read"),
        3
    );
    assert_eq!(
        executor
            .count_for(BulkVerb::Retry, mine.clone())
            .await
            .expect("read"),
        0
    );
    let tally = executor.cancel_all(mine.clone()).await.expect("cancelled");
    assert_eq!((tally.done, tally.refused), (3, 0));
    for (at, run_id) in run_ids.iter().enumerate() {
        if at % 2 == 1 {
            let program = ended(&executor, run_id).await;
            assert_eq!(program.error_message.as_deref(), Some("cancelled"));
        }
    }
    assert_eq!(executor.list(running.clone()).await.expect("read").len(), 3);
    // At most so many.
    let errored = Filter::new().error("cancel").limit(2);
    let tally = executor.retry_all(errored).await.expect("retried");
    assert_eq!((tally.done, tally.refused), (2, 0));
    until("they run again", async || {
        executor.list(running.clone()).await.expect("read").len() == 5
    })
    .await;
    let tally = executor.delete_all(Filter::new()).await.expect("deleted");
    assert_eq!(tally.done, 6);
    working.stop().await;
}

#[tokio::test]
async fn a_retry_of_many_counts_those_whose_key_is_taken() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let create = async |key: Option<&str>| {
        let program = Deliver::new("Ada".to_owned());
        let program = match key {
            Some(key) => program.unique(key),
            None => program.into_program(),
        };
        executor.create(program).await.expect("created").run_id
    };
    let fail = async |run_id: &executor::RunId| {
        executor.fail(run_id, "down").await.expect("it waits");
    };
    // Two of them want one key, one wants a key that somebody has, one wants a free one.
    let mut errored = Vec::new();
    for key in [Some("a"), Some("a"), Some("b"), Some("c"), None] {
        let run_id = create(key).await;
        fail(&run_id).await;
        errored.push(run_id);
    }
    let holder = create(Some("b")).await;
    let all = Filter::new().error("down");
    assert_eq!(
        executor
            .count_for(BulkVerb::Retry, all.clone())
            .await
            .expect("read"),
        5
    );
    let tally = executor.retry_all(all.clone()).await.expect("retried");
    assert_eq!((tally.done, tally.refused), (3, 2));
    let errored = executor
        .list(Filter::new().state(ProgramState::Errored))
        .await;
    let mut keys: Vec<_> = errored
        .expect("read")
        .into_iter()
        .filter_map(|program| program.unique_key)
        .collect();
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
    assert!(executor.delete(&holder).await.expect("deleted"));
    let tally = executor.retry_all(all).await.expect("retried");
    assert_eq!((tally.done, tally.refused), (1, 1));
}

/// The process dies somewhere between two batches, or within one.
#[tokio::test]
async fn a_kill_in_the_middle_leaves_whole_batches() {
    const ALL: usize = 30_000;
    let app = env!("CARGO_BIN_EXE_test-app");
    for (command, verb) in [("cancel", BulkVerb::Cancel), ("delete", BulkVerb::Delete)] {
        let fresh = Fresh::new();
        let executor = fresh.builder().connect().await.expect("connected");
        let programs = (0..ALL).map(|_| Deliver::new("Ada".to_owned()).queue("far"));
        executor.create_many(programs).await.expect("stored");
        let left = async || {
            let filter = Filter::new().queue("far");
            executor.count_for(verb, filter).await.expect("read")
        };
        let mut process = std::process::Command::new(app)
            .args([command, "--all", "--queue", "far", "--yes"])
            .env("DATABASE_URL", fresh.url())
            .spawn()
            .expect("it starts");
        until("it has begun", async || left().await < ALL).await;
        process.kill().expect("it runs");
        process.wait().expect("its status");
        // What it had sent last may still come to its end at the server, or not.
        let mut rest = 0;
        until("all is done", async || {
            let tally = match verb {
                BulkVerb::Cancel => executor.cancel_all(Filter::new()).await,
                _ => executor.delete_all(Filter::new()).await,
            };
            rest += tally.expect("done").done;
            left().await == 0
        })
        .await;
        assert!(rest > 0, "it was not in the middle");
        assert!(
            rest < ALL && rest % 1000 == 0,
            "batches are whole: {rest} were left"
        );
    }
}
