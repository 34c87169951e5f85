//! Jobs that are asked to end: by their timeout, through the handle, by hand.

use std::{
    collections::HashMap,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use executor::{ErrorKind, Executor, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Working, ended, until};

/// What the jobs of each program did, and when.
static NOTES: LazyLock<Mutex<Notes>> = LazyLock::new(Mutex::default);

type Notes = HashMap<RunId, Vec<(&'static str, Instant)>>;

fn note(run_id: &RunId, what: &'static str) {
    let mut notes = NOTES.lock().expect("whole");
    notes
        .entry(run_id.clone())
        .or_default()
        .push((what, Instant::now()));
}

fn noted(run_id: &RunId) -> Vec<&'static str> {
    let notes = NOTES.lock().expect("whole");
    notes
        .get(run_id)
        .into_iter()
        .flatten()
        .map(|(what, _)| *what)
        .collect()
}

fn when(run_id: &RunId, what: &str) -> Instant {
    let notes = NOTES.lock().expect("whole");
    notes[run_id]
        .iter()
        .find(|note| note.0 == what)
        .expect("it happened")
        .1
}

/// Notes that the body is gone.
struct Gone(RunId);

impl Drop for Gone {
    fn drop(&mut self) {
        note(&self.0, "gone");
    }
}

/// How a job takes it that it is to end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Manner {
    /// It returns a result.
    Obliging,
    /// It returns an error.
    Failing,
    /// It goes on for ever.
    Stubborn,
    /// It saves once more, and returns what comes of it.
    Saving,
}

async fn linger(ctx: Context, manner: Manner, mut page: Saved<u32>) -> Result<u32, JobError> {
    let _gone = Gone(ctx.run_id().clone());
    note(ctx.run_id(), "start");
    ctx.cancelled().await;
    note(ctx.run_id(), "cancelled");
    match manner {
        Manner::Obliging => Ok(7),
        Manner::Failing => Err("interrupted")?,
        Manner::Stubborn => std::future::pending().await,
        Manner::Saving => {
            let saved = page.set(5).await;
            note(
                ctx.run_id(),
                if saved.is_ok() {
                    "saved"
                } else {
                    "saved, and is to end"
                },
            );
            saved.map(|()| 7)
        }
    }
}

#[job]
async fn endless(ctx: Context, manner: Manner, page: Saved<u32>) -> Result<u32, JobError> {
    linger(ctx, manner, page).await
}

#[job(timeout = "100ms", retry(max = 1, backoff = "1ms"))]
async fn hurried(ctx: Context, manner: Manner, page: Saved<u32>) -> Result<u32, JobError> {
    linger(ctx, manner, page).await
}

#[job]
async fn after(ctx: Context) -> Result<(), JobError> {
    note(ctx.run_id(), "the next job");
    Ok(())
}

/// Nobody can end it: it goes on until the gate is open.
#[job(blocking, timeout = "50ms", retry(max = 1, backoff = "1ms"))]
fn grind(ctx: Context) -> Result<(), JobError> {
    note(ctx.run_id(), "start");
    if ctx.attempt() == 1 {
        // Where the test fails, nobody opens the gate.
        let last = Instant::now() + Duration::from_secs(90);
        while !noted(ctx.run_id()).contains(&"open") && Instant::now() < last {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(ctx.is_cancelled(), "it was not told that its time is over");
        note(ctx.run_id(), "end");
    }
    Ok(())
}

struct Stage {
    fresh: Fresh,
    executor: Executor,
    working: Working,
}

impl Stage {
    async fn set() -> Self {
        let fresh = Fresh::new();
        let builder = fresh.builder().lease(Duration::from_millis(600)).slots(1);
        let executor = builder.connect().await.expect("connected");
        let working = Working::start(&executor);
        Self {
            fresh,
            executor,
            working,
        }
    }

    /// A program whose job runs.
    async fn running(&self, manner: Manner) -> RunId {
        let program = Program::new(())
            .then(Endless { manner, page: 0 })
            .then(After);
        let run_id = program.create(&self.executor).await.expect("created");
        until("it runs", async || noted(&run_id) == ["start"]).await;
        run_id
    }

    async fn get(&self, run_id: &RunId) -> ProgramInfo {
        self.executor
            .get(run_id)
            .await
            .expect("read")
            .expect("there")
    }

    /// Waits until a program's body is gone and its lease is given back.
    async fn let_go(&self, run_id: &RunId) -> ProgramInfo {
        let let_go = async || self.get(run_id).await.lease_until.is_none();
        until("its lease is given back", let_go).await;
        // The only slot is free again: another program runs.
        let other = After.create(&self.executor).await.expect("created");
        assert_eq!(
            ended(&self.executor, &other).await.state,
            ProgramState::Finished
        );
        self.get(run_id).await
    }
}

fn assert_stopped(program: &ProgramInfo, message: &str, step: usize) {
    assert_eq!(program.state, ProgramState::Errored, "{program:?}");
    assert_eq!(program.error_message.as_deref(), Some(message));
    assert_eq!(program.step, step, "{program:?}");
    assert!(!noted(&program.run_id).contains(&"the next job"));
}

#[tokio::test]
async fn a_timeout_cancels_then_drops_the_body_and_counts_as_a_retry() {
    let stage = Stage::set().await;
    let program = Hurried {
        manner: Manner::Stubborn,
        page: 0,
    };
    let run_id = program.create(&stage.executor).await.expect("created");
    let program = ended(&stage.executor, &run_id).await;
    let message = "took longer than its timeout of 100ms";
    assert_stopped(&program, &format!("{message} (after 1 retries)"), 0);
    assert_eq!(program.errors[0].error, message);
    assert_eq!(program.errors.len(), 2);
    assert_eq!(noted(&run_id), ["start", "cancelled", "gone"].repeat(2));
    let at = |what| when(&run_id, what);
    assert!(at("cancelled") - at("start") >= Duration::from_millis(100));
    let grace = at("gone") - at("cancelled");
    assert!(
        grace >= Duration::from_millis(199),
        "it was dropped after {grace:?}"
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn a_body_that_obliges_its_timeout_keeps_its_result() {
    let stage = Stage::set().await;
    let program = Hurried {
        manner: Manner::Obliging,
        page: 0,
    };
    let run_id = program.create(&stage.executor).await.expect("created");
    let program = ended(&stage.executor, &run_id).await;
    assert_eq!(
        (program.state, program.output()),
        (ProgramState::Finished, Some(&7.into()))
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn an_error_brought_about_by_the_timeout_counts_as_the_timeout() {
    let stage = Stage::set().await;
    let program = Hurried {
        manner: Manner::Failing,
        page: 0,
    };
    let run_id = program.create(&stage.executor).await.expect("created");
    let program = ended(&stage.executor, &run_id).await;
    assert_stopped(
        &program,
        "took longer than its timeout of 100ms (after 1 retries)",
        0,
    );
    stage.working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_job_past_its_timeout_keeps_slot_and_lease_until_it_returns() {
    let stage = Stage::set().await;
    let grind = Grind.create(&stage.executor).await.expect("created");
    until("it runs", async || !noted(&grind).is_empty()).await;
    let other = After.create(&stage.executor).await.expect("created");
    let lease = async || stage.get(&grind).await.lease_until.expect("a lease");
    let first = lease().await;
    // Past the timeout, the grace time and the first lease.
    let renewed = async || lease().await.since(first) > Duration::from_millis(700);
    until("its lease is renewed", renewed).await;
    assert_eq!(noted(&grind), ["start"], "it runs twice");
    assert!(noted(&other).is_empty(), "its slot was given away");
    note(&grind, "open");
    let program = ended(&stage.executor, &grind).await;
    // What the body returned in the end counts, late as it was.
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    assert_eq!(noted(&grind), ["start", "open", "end"]);
    assert_eq!(
        ended(&stage.executor, &other).await.state,
        ProgramState::Finished
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn a_cancel_through_the_handle_ends_a_running_job_at_once() {
    let stage = Stage::set().await;
    let run_id = stage.running(Manner::Stubborn).await;
    assert!(stage.executor.cancel(&run_id).await.expect("cancelled"));
    assert_eq!(stage.get(&run_id).await.state, ProgramState::Errored);
    assert_stopped(&stage.let_go(&run_id).await, "cancelled", 0);
    assert_eq!(noted(&run_id), ["start", "cancelled", "gone"]);
    let error = stage
        .executor
        .cancel(&run_id)
        .await
        .expect_err("it has ended");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains("has ended as errored"),
        "{error}"
    );
    assert!(
        !stage
            .executor
            .cancel(&"nobody".into())
            .await
            .expect("an answer")
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn a_stop_by_hand_ends_a_running_job_at_the_next_heartbeat() {
    let stage = Stage::set().await;
    let run_id = stage.running(Manner::Failing).await;
    let stop = "UPDATE programs SET errored_at = CURRENT_TIMESTAMP, error_message = 'enough'";
    assert_eq!(stage.fresh.sql(stop), 1);
    // The job's own error, which its cancellation brought about, is no news.
    assert_stopped(&stage.let_go(&run_id).await, "enough", 0);
    assert_eq!(noted(&run_id), ["start", "cancelled", "gone"]);
    stage.working.stop().await;
}

#[tokio::test]
async fn a_step_that_ends_on_a_stopped_program_is_recorded_and_starts_nothing() {
    let stage = Stage::set().await;
    let run_id = stage.running(Manner::Obliging).await;
    stage
        .fresh
        .sql("UPDATE programs SET errored_at = CURRENT_TIMESTAMP, error_message = 'enough'");
    let program = stage.let_go(&run_id).await;
    assert_stopped(&program, "enough", 1);
    assert_eq!(program.outputs["endless"], 7);
    assert_eq!(program.job(), Some("after"));
    assert!(stage.executor.retry(&run_id).await.expect("retried"));
    let program = ended(&stage.executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Finished);
    assert_eq!(
        noted(&run_id),
        ["start", "cancelled", "gone", "the next job"]
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn progress_on_a_stopped_program_is_stored_and_ends_the_job() {
    let stage = Stage::set().await;
    let run_id = stage.running(Manner::Saving).await;
    stage.executor.cancel(&run_id).await.expect("cancelled");
    let program = stage.let_go(&run_id).await;
    assert_stopped(&program, "cancelled", 0);
    assert_eq!(program.job_data["endless"]["page"], 5);
    assert_eq!(
        noted(&run_id),
        ["start", "cancelled", "saved, and is to end", "gone"]
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn a_program_that_waits_is_cancelled_where_it_waits() {
    let stage = Stage::set().await;
    let busy = stage.running(Manner::Stubborn).await;
    let available = After.create(&stage.executor).await.expect("created");
    let late = After.run_after(Duration::from_millis(50));
    let scheduled = late.create(&stage.executor).await.expect("created");
    assert!(stage.executor.cancel(&available).await.expect("cancelled"));
    let stop =
        format!("UPDATE programs SET errored_at = CURRENT_TIMESTAMP WHERE run_id = '{scheduled}'");
    assert_eq!(stage.fresh.sql(&stop), 1);
    let due = async || {
        stage.fresh.value(
            "COUNT(*)",
            &format!(
                "programs WHERE run_id = '{scheduled}' AND available_at < {}",
                stage.fresh.now_ms()
            ),
        )
    };
    until("it would be due", async || {
        due().await.as_deref() == Some("1")
    })
    .await;
    stage.executor.cancel(&busy).await.expect("cancelled");
    stage.let_go(&busy).await;
    for run_id in [&available, &scheduled] {
        let program = stage.get(run_id).await;
        assert_eq!((program.state, program.step), (ProgramState::Errored, 0));
        assert!(noted(run_id).is_empty(), "it ran");
    }
    stage.working.stop().await;
}

#[tokio::test]
async fn a_deleted_program_stops_running() {
    let stage = Stage::set().await;
    let run_id = stage.running(Manner::Stubborn).await;
    assert!(stage.executor.delete(&run_id).await.expect("deleted"));
    until("its body is gone", async || {
        noted(&run_id).contains(&"gone")
    })
    .await;
    assert!(stage.executor.get(&run_id).await.expect("read").is_none());
    assert!(!stage.executor.delete(&run_id).await.expect("an answer"));
    let error = stage.executor.wait(&run_id).await.expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let other = After.create(&stage.executor).await.expect("created");
    assert_eq!(
        ended(&stage.executor, &other).await.state,
        ProgramState::Finished
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn a_rescheduled_program_runs_again_as_soon_as_its_body_has_ended() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    /// Stays until it is asked to end, the first time.
    #[job]
    async fn stay_once(ctx: Context) -> Result<(), JobError> {
        if RUNS.fetch_add(1, Ordering::SeqCst) == 0 {
            ctx.cancelled().await;
            ctx.check_cancelled()?;
        }
        Ok(())
    }
    let fresh = Fresh::new();
    // Far longer than the test may take: only the body's end can bring the program back.
    let builder = fresh.builder().lease(Duration::from_secs(600));
    let executor = builder.connect().await.expect("connected");
    let working = Working::start(&executor);
    let run_id = StayOnce.create(&executor).await.expect("created");
    until("it runs", async || RUNS.load(Ordering::SeqCst) == 1).await;
    let now = std::time::SystemTime::now();
    assert!(executor.reschedule(&run_id, now).await.expect("it runs"));
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    assert_eq!((program.crashes, RUNS.load(Ordering::SeqCst)), (0, 2));
    working.stop().await;
}
