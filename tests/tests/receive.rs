//! Programs that somebody takes and drives by himself: the life of a job in programma.

use std::time::{Duration, SystemTime};

use executor::{DynProgram, Executor, ProgramState, Received, RunId, prelude::*};
use executor_tests::{Fresh, ended, until};
use serde_json::json;

const LEASE: Duration = Duration::from_secs(30);

/// It is never run here: those who receive need no job of their own.
#[job]
async fn remote(ctx: Context, amount: u32) -> Result<String, JobError> {
    Err(format!("{} is run here, for {amount}", ctx.run_id()).into())
}

#[job]
async fn after_remote(before: Output<Remote>) -> Result<String, JobError> {
    Ok(format!("{} and done", *before))
}

async fn connected() -> (Fresh, Executor) {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    (fresh, executor)
}

async fn received(executor: &Executor, max: usize) -> Vec<Received> {
    let received = executor.receive("remote", max, LEASE).await;
    received.expect("received")
}

async fn one(executor: &Executor) -> Received {
    let mut all = Vec::new();
    until("there is one", async || {
        all.extend(received(executor, 1).await);
        !all.is_empty()
    })
    .await;
    all.pop().expect("there is one")
}

async fn state(executor: &Executor, run_id: &RunId) -> ProgramState {
    let program = executor.get(run_id).await.expect("read");
    program.expect("there").state
}

#[tokio::test]
async fn a_job_is_added_received_at_its_time_and_completed() {
    let (_fresh, executor) = connected().await;
    let at = SystemTime::now() + Duration::from_millis(300);
    let program = Remote { amount: 7 }.queue("remote").run_at(at);
    let program = program.attributes(json!({"customer": 1}));
    let run_id = executor.create(program).await.expect("created").run_id;
    assert!(received(&executor, 10).await.is_empty(), "it is not due");
    assert_eq!(state(&executor, &run_id).await, ProgramState::Scheduled);
    let job = one(&executor).await;
    assert_eq!(
        (job.run_id(), job.job(), job.attempt()),
        (&run_id, "remote", 1)
    );
    assert_eq!(job.job_data(), &json!({"amount": 7}));
    assert_eq!(state(&executor, &run_id).await, ProgramState::Running);
    assert!(received(&executor, 10).await.is_empty(), "it is taken");
    assert!(job.extend().await.expect("extended"));
    assert!(job.complete("sent").await.expect("completed"));
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Finished);
    assert_eq!(program.output(), Some(&json!("sent")));
    assert!(executor.delete(&run_id).await.expect("deleted"));
    assert!(executor.get(&run_id).await.expect("read").is_none());
}

#[tokio::test]
async fn each_of_many_goes_to_one_receiver() {
    let (fresh, executor) = connected().await;
    let other = fresh.builder().connect().await.expect("connected");
    let programs = (0..40).map(|amount| Remote { amount }.queue("remote"));
    let created = executor.create_many(programs).await.expect("created");
    assert!(created.iter().all(Result::is_ok));
    let (some, others) = tokio::join!(received(&executor, 25), received(&other, 25));
    let mut all: Vec<_> = some.into_iter().chain(others).collect();
    while all.len() < 40 {
        let more = received(&executor, 25).await;
        assert!(!more.is_empty(), "{} of 40", all.len());
        all.extend(more);
    }
    let mut run_ids: Vec<_> = all.iter().map(|job| job.run_id().to_string()).collect();
    run_ids.sort();
    run_ids.dedup();
    assert_eq!(run_ids.len(), 40);
}

#[tokio::test]
async fn it_comes_back_when_nothing_is_reported_and_a_late_report_is_refused() {
    let (_fresh, executor) = connected().await;
    let program = Remote { amount: 1 }.queue("remote");
    let run_id = executor.create(program).await.expect("created").run_id;
    let short = Duration::from_millis(300);
    let taken = executor
        .receive("remote", 1, short)
        .await
        .expect("received");
    let late = taken.into_iter().next().expect("there is one");
    let again = one(&executor).await;
    assert!(!late.extend().await.expect("asked"));
    assert!(!late.complete("late").await.expect("asked"));
    assert!(again.fail("no such customer").await.expect("failed"));
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Errored);
    assert_eq!(program.error_message.as_deref(), Some("no such customer"));
}

#[tokio::test]
async fn it_is_handed_on_and_comes_back_after_its_time_unless_reported() {
    let (_fresh, executor) = connected().await;
    let program = Remote { amount: 1 }.queue("remote");
    let program = program.retry_after(Duration::from_millis(300));
    let run_id = executor.create(program).await.expect("created").run_id;
    let job = one(&executor).await;
    assert!(job.hand_off().await.expect("handed off"));
    assert_eq!(state(&executor, &run_id).await, ProgramState::Waiting);
    let job = one(&executor).await;
    let never = executor.set_retry_after(&run_id, None).await;
    assert!(never.expect("set"));
    let token = job.hand_off_token();
    assert!(job.hand_off().await.expect("handed off"));
    assert!(executor.complete(&token, "done").await.expect("reported"));
    assert_eq!(state(&executor, &run_id).await, ProgramState::Finished);
}

#[tokio::test]
async fn a_retry_and_a_snooze_come_back_and_the_next_job_is_received_too() {
    let (_fresh, executor) = connected().await;
    let program = DynProgram::new(())
        .then(Remote { amount: 1 })
        .then(AfterRemote);
    let program = program.queue("remote");
    let run_id = executor.create(program).await.expect("created").run_id;
    let job = one(&executor).await;
    assert!(job.retry("busy", Duration::ZERO).await.expect("retried"));
    let job = one(&executor).await;
    assert_eq!(job.attempt(), 2);
    assert!(job.snooze(Duration::ZERO).await.expect("snoozed"));
    let job = one(&executor).await;
    assert!(job.complete("one").await.expect("completed"));
    let job = one(&executor).await;
    assert_eq!(
        (job.job(), job.step(), job.attempt()),
        ("after_remote", 1, 1)
    );
    executor.cancel(&run_id).await.expect("cancelled");
    assert!(!job.complete("two").await.expect("asked"), "it was stopped");
    assert_eq!(state(&executor, &run_id).await, ProgramState::Errored);
}
