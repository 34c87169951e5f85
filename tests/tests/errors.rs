//! What becomes of a program when its job does not succeed: the table of errors, row by row.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};

use executor::{ErrorKind, Event, Executor, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Working, ended, until};

/// What the scripted job does in one attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Act {
    Fatal(String),
    Retry(String),
    RetryAfter(u64),
    Ignore,
    Snooze(u64),
    Checkpoint,
    Panic,
    Class(Class),
}

/// An error whose variants say what is to happen.
#[derive(Clone, Debug, Serialize, Deserialize, JobError)]
enum Class {
    #[job_error(retry)]
    Busy,
    #[job_error(retry_after = "150ms")]
    Throttled,
    #[job_error(ignore)]
    Gone,
    #[job_error(snooze = "150ms")]
    Closed,
    Malformed,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it is {self:?}")
    }
}

impl std::error::Error for Class {}

/// When each program's scripted job has started.
static STARTS: LazyLock<Mutex<HashMap<RunId, Vec<Instant>>>> = LazyLock::new(Mutex::default);

fn starts(run_id: &RunId) -> Vec<Instant> {
    STARTS
        .lock()
        .expect("whole")
        .get(run_id)
        .cloned()
        .unwrap_or_default()
}

/// Fails as it is told, one act an attempt, and then succeeds.
#[job(retry(max = 2, backoff = "100ms..150ms"))]
async fn scripted(ctx: Context, acts: Vec<Act>, mut pages: Saved<u32>) -> Result<String, JobError> {
    let started = {
        let mut starts = STARTS.lock().expect("whole");
        let starts = starts.entry(ctx.run_id().clone()).or_default();
        starts.push(Instant::now());
        starts.len()
    };
    match acts.into_iter().nth(started - 1) {
        None => Ok(format!("attempt {}, page {}", ctx.attempt(), *pages)),
        Some(Act::Fatal(text)) => Err(std::io::Error::other(text))?,
        Some(Act::Retry(text)) => Err(std::io::Error::other(text)).or_retry(),
        Some(Act::RetryAfter(millis)) => {
            Err("told to wait").or_retry_after(Duration::from_millis(millis))
        }
        Some(Act::Ignore) => Err("nobody minds").or_ignore(),
        Some(Act::Snooze(millis)) => Err(JobError::snooze(Duration::from_millis(millis))),
        Some(Act::Checkpoint) => {
            pages.set(*pages + 1).await?;
            ctx.checkpoint(Duration::from_secs(3600))?;
            ctx.checkpoint(Duration::ZERO)?;
            Ok("a checkpoint past its time goes on".to_owned())
        }
        Some(Act::Panic) => panic!("out of cheese"),
        Some(Act::Class(class)) => Err(class)?,
    }
}

#[job]
async fn after() -> Result<(), JobError> {
    Ok(())
}

/// A worker, with what it raised.
struct Stage {
    _fresh: Fresh,
    executor: Executor,
    working: Working,
    alerts: std::sync::Arc<Mutex<Vec<Event>>>,
}

impl Stage {
    async fn set() -> Self {
        let fresh = Fresh::new();
        let alerts = std::sync::Arc::new(Mutex::new(Vec::new()));
        let raised = std::sync::Arc::clone(&alerts);
        let executor = fresh
            .builder()
            .on_program_error(move |event| raised.lock().expect("whole").push(event.clone()))
            .connect()
            .await
            .expect("connected");
        let working = Working::start(&executor);
        Self {
            _fresh: fresh,
            executor,
            working,
            alerts,
        }
    }

    async fn create(&self, acts: impl IntoIterator<Item = Act>) -> RunId {
        let acts = acts.into_iter().collect();
        let program = Program::new(())
            .then(Scripted { acts, pages: 0 })
            .then(After);
        program.create(&self.executor).await.expect("created")
    }

    /// Runs a scripted program to its end; the pauses between its attempts, too.
    async fn play(&self, acts: impl IntoIterator<Item = Act>) -> (ProgramInfo, Vec<Duration>) {
        let run_id = self.create(acts).await;
        let program = ended(&self.executor, &run_id).await;
        let starts = starts(&run_id);
        (
            program,
            starts.windows(2).map(|two| two[1] - two[0]).collect(),
        )
    }

    /// The messages of the alerts, once something else has run to its end behind them.
    async fn alerts(&self) -> Vec<String> {
        let (program, _) = self.play([]).await;
        assert_eq!(program.state, ProgramState::Finished);
        let alerts = self.alerts.lock().expect("whole");
        let text = |event: &Event| match event {
            Event::Errored {
                job, step, error, ..
            } => format!("{job} {step}: {error}"),
            event => panic!("no alert: {event:?}"),
        };
        alerts.iter().map(text).collect()
    }
}

fn assert_errored(program: &ProgramInfo, message: &str) {
    assert_eq!(program.state, ProgramState::Errored, "{program:?}");
    assert_eq!(program.error_message.as_deref(), Some(message));
    assert!(
        program.errored_at.is_some() && program.finished_at.is_none(),
        "{program:?}"
    );
    assert_eq!(program.step, 0, "a later job ran: {program:?}");
    assert_eq!(program.lease_until, None, "it keeps its lease: {program:?}");
}

fn assert_finished(program: &ProgramInfo, output: &str) {
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    assert_eq!(program.outputs["scripted"], output, "{program:?}");
    assert_eq!(
        (program.step, program.step_retry_count),
        (2, 0),
        "{program:?}"
    );
}

#[tokio::test]
async fn a_plain_question_mark_is_fatal() {
    let stage = Stage::set().await;
    let (program, pauses) = stage.play([Act::Fatal("disk on fire".to_owned())]).await;
    assert_errored(&program, "disk on fire");
    assert_eq!(pauses.len(), 0, "it was tried again");
    assert_eq!(program.errors.len(), 1);
    assert_eq!(program.errors[0].error, "disk on fire");
    assert_eq!(
        (program.errors[0].job.as_str(), program.errors[0].attempt),
        ("scripted", 1)
    );
    assert_eq!(stage.alerts().await, ["scripted 0: disk on fire"]);
    stage.working.stop().await;
}

#[tokio::test]
async fn a_retryable_error_comes_back_after_its_back_off() {
    let stage = Stage::set().await;
    let mut events = stage.executor.events();
    let busy = || Act::Retry("busy".to_owned());
    let run_id = stage.create([busy(), busy()]).await;
    let seen = async || {
        stage
            .executor
            .get(&run_id)
            .await
            .expect("read")
            .expect("there")
    };
    until("it was tried twice", async || {
        seen().await.step_retry_count == 2
    })
    .await;
    let waits = seen().await;
    assert_eq!(waits.error_message.as_deref(), Some("busy"));
    let program = ended(&stage.executor, &run_id).await;
    assert_finished(&program, "attempt 3, page 0");
    let attempts: Vec<_> = program.errors.iter().map(|error| error.attempt).collect();
    assert_eq!(attempts, [1, 2]);
    // Equal jitter: between half and the whole of 100 ms, and then of 150 ms.
    let starts = starts(&run_id);
    assert!(
        starts[1] - starts[0] >= Duration::from_millis(49),
        "{starts:?}"
    );
    assert!(
        starts[2] - starts[1] >= Duration::from_millis(74),
        "{starts:?}"
    );
    let mut retrying = 0;
    while let Some(event) = events.next().await {
        match event {
            Event::Retrying { error, attempt, .. } => {
                retrying += 1;
                assert_eq!((error.as_str(), attempt), ("busy", retrying));
            }
            Event::Finished { .. } => break,
            _ => {}
        }
    }
    assert_eq!(retrying, 2);
    assert_eq!(stage.alerts().await.len(), 0, "a retry is no alert");
    stage.working.stop().await;
}

#[tokio::test]
async fn retries_past_their_maximum_are_fatal() {
    let stage = Stage::set().await;
    let (program, pauses) = stage
        .play((1..=4).map(|n| Act::Retry(format!("busy {n}"))))
        .await;
    assert_errored(&program, "busy 3 (after 2 retries)");
    assert_eq!(pauses.len(), 2);
    assert_eq!(program.errors.len(), 3);
    assert_eq!(
        stage.alerts().await,
        ["scripted 0: busy 3 (after 2 retries)"]
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn an_error_can_name_the_time_of_its_retry() {
    let stage = Stage::set().await;
    let (program, pauses) = stage.play([Act::RetryAfter(400)]).await;
    assert_finished(&program, "attempt 2, page 0");
    assert!(pauses[0] >= Duration::from_millis(399), "{pauses:?}");
    assert_eq!(program.errors[0].error, "told to wait");
    stage.working.stop().await;
}

#[tokio::test]
async fn an_ignorable_error_ends_the_program_quietly() {
    let stage = Stage::set().await;
    let (program, pauses) = stage.play([Act::Ignore]).await;
    assert_errored(&program, "nobody minds");
    assert_eq!(pauses.len(), 0);
    assert_eq!(
        stage.alerts().await.len(),
        0,
        "an ignorable error is no alert"
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn a_snooze_counts_as_no_retry() {
    let stage = Stage::set().await;
    // More of them than there are retries.
    let (program, pauses) = stage.play((0..4).map(|_| Act::Snooze(100))).await;
    assert_finished(&program, "attempt 1, page 0");
    assert_eq!(pauses.len(), 4);
    assert!(
        pauses
            .iter()
            .all(|pause| *pause >= Duration::from_millis(99)),
        "{pauses:?}"
    );
    assert_eq!((program.errors.len(), program.error_message), (0, None));
    stage.working.stop().await;
}

#[tokio::test]
async fn a_checkpoint_keeps_the_progress_and_counts_as_no_retry() {
    let stage = Stage::set().await;
    let (program, pauses) = stage.play((0..3).map(|_| Act::Checkpoint)).await;
    assert_finished(&program, "attempt 1, page 3");
    assert_eq!(pauses.len(), 3);
    assert_eq!((program.errors.len(), program.error_message), (0, None));
    stage.working.stop().await;
}

#[tokio::test]
async fn a_panic_ends_its_program_with_message_and_place() {
    let stage = Stage::set().await;
    let (program, pauses) = stage.play([Act::Panic]).await;
    assert_eq!(program.state, ProgramState::Errored);
    assert_eq!(pauses.len(), 0);
    let message = program.error_message.expect("a message");
    let place = message
        .strip_prefix("panicked: out of cheese (")
        .expect("the panic's message");
    let line = place.rsplit_once("errors.rs:").expect("its file").1;
    assert!(
        line.ends_with(')') && line.starts_with(|c: char| c.is_ascii_digit()),
        "{message}"
    );
    assert_eq!(stage.alerts().await.len(), 1, "the worker lives on");
    stage.working.stop().await;
}

#[tokio::test]
async fn the_class_of_an_error_says_what_happens() {
    let stage = Stage::set().await;
    let play = async |class| stage.play([Act::Class(class)]).await;
    let (busy, _) = play(Class::Busy).await;
    assert_finished(&busy, "attempt 2, page 0");
    assert_eq!(busy.errors[0].error, "it is Busy");
    let (throttled, pauses) = play(Class::Throttled).await;
    assert_finished(&throttled, "attempt 2, page 0");
    assert!(pauses[0] >= Duration::from_millis(149), "{pauses:?}");
    let (closed, pauses) = play(Class::Closed).await;
    assert_finished(&closed, "attempt 1, page 0");
    assert!(pauses[0] >= Duration::from_millis(149), "{pauses:?}");
    assert_errored(&play(Class::Gone).await.0, "it is Gone");
    assert_errored(&play(Class::Malformed).await.0, "it is Malformed");
    assert_eq!(stage.alerts().await, ["scripted 0: it is Malformed"]);
    stage.working.stop().await;
}

#[tokio::test]
async fn the_history_keeps_the_last_twenty_errors_cut_to_2_kib() {
    #[job(retry(max = 30, backoff = "1ms"))]
    async fn chatty(ctx: Context) -> Result<(), JobError> {
        Err(format!("{} {}", ctx.attempt(), "é".repeat(5000))).or_retry()
    }
    let stage = Stage::set().await;
    let run_id = Chatty.create(&stage.executor).await.expect("created");
    let program = ended(&stage.executor, &run_id).await;
    let attempts: Vec<_> = program.errors.iter().map(|error| error.attempt).collect();
    assert_eq!(attempts, (12..=31).collect::<Vec<_>>());
    assert!(
        program
            .errors
            .iter()
            .all(|error| (2000..=2048).contains(&error.error.len()))
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn an_errored_program_goes_on_from_its_failed_step() {
    let stage = Stage::set().await;
    let failing = [Act::Checkpoint, Act::Fatal("disk on fire".to_owned())];
    let (program, _) = stage.play(failing).await;
    let run_id = &program.run_id;
    assert_errored(&program, "disk on fire");
    assert!(stage.executor.retry(run_id).await.expect("retried"));
    let program = ended(&stage.executor, run_id).await;
    assert_finished(&program, "attempt 1, page 1");
    let error = stage
        .executor
        .retry(run_id)
        .await
        .expect_err("it has finished");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        !stage
            .executor
            .retry(&"nobody".into())
            .await
            .expect("an answer")
    );
    stage.working.stop().await;
}
