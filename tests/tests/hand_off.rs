//! A job hands its work to another system, which reports back: in time, too early, too late.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use executor::{ErrorKind, Executor, HandOffToken, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Working, ended, until};
use tokio::sync::Semaphore;

/// The other system's desk: the orders that came in, and who may go on.
struct Desk {
    tokens: Mutex<Vec<HandOffToken>>,
    gate: Semaphore,
}

impl Desk {
    fn tokens(&self) -> Vec<HandOffToken> {
        self.tokens.lock().expect("whole").clone()
    }
}

/// What an attempt does once its order is placed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Then {
    HandOff,
    /// Hands off when the gate is opened.
    Linger,
    /// Succeeds when the gate is opened.
    Late,
    Succeed,
}

/// Does as it is told, one act an attempt.
#[job]
async fn order(
    ctx: Context,
    desk: State<Arc<Desk>>,
    acts: Vec<Then>,
    mut attempts: Saved<usize>,
) -> Result<u32, JobError> {
    let act = acts.get(*attempts).copied().unwrap_or(Then::HandOff);
    attempts.set(*attempts + 1).await?;
    desk.tokens
        .lock()
        .expect("whole")
        .push(ctx.hand_off_token());
    match act {
        Then::HandOff => {}
        Then::Linger => desk.gate.acquire().await?.forget(),
        Then::Late => {
            desk.gate.acquire().await?.forget();
            return Ok(1);
        }
        Then::Succeed => return Ok(1),
    }
    Err(JobError::hand_off())
}

#[job]
async fn ship(pages: Output<Order>) -> Result<String, JobError> {
    Ok(format!("{} pages", *pages))
}

struct Stage {
    _fresh: Fresh,
    executor: Executor,
    working: Working,
    desk: Arc<Desk>,
}

impl Stage {
    async fn set() -> Self {
        let fresh = Fresh::new();
        let desk = Arc::new(Desk {
            tokens: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let builder = fresh.builder().state(Arc::clone(&desk));
        let executor = builder.connect().await.expect("connected");
        let working = Working::start(&executor);
        Self {
            _fresh: fresh,
            executor,
            working,
            desk,
        }
    }

    async fn create(&self, acts: impl Into<Vec<Then>>) -> RunId {
        let order = Order {
            acts: acts.into(),
            attempts: 0,
        };
        let program = Program::new(()).then(order).then(Ship);
        program.create(&self.executor).await.expect("created")
    }

    async fn get(&self, run_id: &RunId) -> ProgramInfo {
        self.executor
            .get(run_id)
            .await
            .expect("read")
            .expect("there")
    }

    /// Waits for the `n`-th order.
    async fn order(&self, n: usize) -> HandOffToken {
        until("the order came in", async || self.desk.tokens().len() >= n).await;
        self.desk.tokens()[n - 1].clone()
    }

    async fn waiting(&self, run_id: &RunId) -> ProgramInfo {
        let is_waiting = async || self.get(run_id).await.state == ProgramState::Waiting;
        until("it is handed off", is_waiting).await;
        self.get(run_id).await
    }

    /// The desk's reports are refused, for this reason.
    async fn refused(&self, token: &HandOffToken, reason: &str) {
        let complete = self
            .executor
            .complete(token, 99)
            .await
            .expect_err("refused");
        let fail = self
            .executor
            .fail(token, "no paper")
            .await
            .expect_err("refused");
        for error in [complete, fail] {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}

fn assert_shipped(program: &ProgramInfo, pages: u32) {
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    assert_eq!(program.output(), Some(&format!("{pages} pages").into()));
    assert_eq!(
        (program.errors.len(), program.error_message.as_deref()),
        (0, None)
    );
}

#[tokio::test]
async fn a_program_that_is_handed_off_waits_for_its_report() {
    let stage = Stage::set().await;
    let run_id = stage.create([]).await;
    let token = stage.order(1).await;
    let waiting = stage.waiting(&run_id).await;
    assert_eq!(
        (waiting.step, waiting.lease_until, waiting.available_at),
        (0, None, None)
    );
    let reason = waiting.reason().expect("a reason");
    assert_eq!(
        reason,
        format!("handed off; waits until `complete {token}` or `fail {token}` is called")
    );
    assert_eq!(waiting.hand_off_token.as_ref(), Some(&token));
    // What the next job could not read is refused, and the program still waits.
    let wrong = stage.executor.complete(&token, "twelve").await;
    let refused = wrong.expect_err("no number").to_string();
    assert!(
        refused.contains("not what the job \"order\" returns"),
        "{refused}"
    );
    stage.waiting(&run_id).await;
    assert!(stage.executor.complete(&token, 12).await.expect("reported"));
    assert_shipped(&ended(&stage.executor, &run_id).await, 12);
    stage.refused(&token, "has finished").await;
    assert!(
        !stage
            .executor
            .complete(RunId::from("nobody"), 12)
            .await
            .expect("an answer")
    );
    stage.working.stop().await;
}

#[tokio::test]
async fn a_reported_failure_ends_the_program() {
    let stage = Stage::set().await;
    let run_id = stage.create([]).await;
    let token = stage.order(1).await;
    stage.waiting(&run_id).await;
    assert!(
        stage
            .executor
            .fail(&token, "no paper")
            .await
            .expect("reported")
    );
    let program = ended(&stage.executor, &run_id).await;
    assert_eq!((program.state, program.step), (ProgramState::Errored, 0));
    assert_eq!(program.error_message.as_deref(), Some("no paper"));
    stage.refused(&token, "has ended as errored").await;
    stage.working.stop().await;
}

#[tokio::test]
async fn a_run_id_is_enough_for_a_program_of_one_job() {
    let stage = Stage::set().await;
    let order = || Order {
        acts: Vec::new(),
        attempts: 0,
    };
    let single = Program::new(()).then(order());
    let single = single.create(&stage.executor).await.expect("created");
    stage.waiting(&single).await;
    assert!(
        stage
            .executor
            .complete(&single, 12)
            .await
            .expect("reported")
    );
    let program = ended(&stage.executor, &single).await;
    assert_eq!(program.output(), Some(&12.into()));

    let double = stage.create([]).await;
    stage.waiting(&double).await;
    let error = stage
        .executor
        .complete(&double, 12)
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .contains("has 2 jobs: a report needs the hand-off token"),
        "{error}"
    );
    assert_eq!(stage.get(&double).await.state, ProgramState::Waiting);
    stage.working.stop().await;
}

#[tokio::test]
async fn a_report_may_come_before_the_hand_off() {
    let stage = Stage::set().await;
    let run_id = stage.create([Then::Linger]).await;
    let token = stage.order(1).await;
    assert!(stage.executor.complete(&token, 12).await.expect("reported"));
    let program = stage.get(&run_id).await;
    assert_eq!(
        (program.state, program.step),
        (ProgramState::Running, 0),
        "its job still runs"
    );
    stage.desk.gate.add_permits(1);
    assert_shipped(&ended(&stage.executor, &run_id).await, 12);
    assert_eq!(stage.desk.tokens().len(), 1, "it ran again");
    stage.working.stop().await;
}

#[tokio::test]
async fn a_failure_may_be_reported_before_the_hand_off() {
    let stage = Stage::set().await;
    let run_id = stage.create([Then::Linger]).await;
    let token = stage.order(1).await;
    assert!(
        stage
            .executor
            .fail(&token, "no paper")
            .await
            .expect("reported")
    );
    stage.desk.gate.add_permits(1);
    let program = ended(&stage.executor, &run_id).await;
    assert_eq!(program.error_message.as_deref(), Some("no paper"));
    assert_eq!((program.state, program.step), (ProgramState::Errored, 0));
    stage.working.stop().await;
}

#[tokio::test]
async fn a_report_for_another_step_is_refused() {
    let stage = Stage::set().await;
    let order = || Order {
        acts: Vec::new(),
        attempts: 0,
    };
    let run_id = Program::new(())
        .then(order())
        .then_again(order())
        .then(Ship)
        .create(&stage.executor)
        .await
        .expect("created");
    let first = stage.order(1).await;
    stage.waiting(&run_id).await;
    assert!(stage.executor.complete(&first, 1).await.expect("reported"));
    let second = stage.order(2).await;
    stage.waiting(&run_id).await;
    stage
        .refused(&first, "is at step 1, and the report is for step 0")
        .await;
    assert!(stage.executor.complete(&second, 2).await.expect("reported"));
    let program = ended(&stage.executor, &run_id).await;
    assert_shipped(&program, 2);
    assert_eq!(program.outputs["order"], 1);
    stage.working.stop().await;
}

#[tokio::test]
async fn retry_after_brings_a_program_back() {
    let stage = Stage::set().await;
    let run_id = Program::new(())
        .then(Order {
            acts: vec![Then::HandOff, Then::Succeed],
            attempts: 0,
        })
        .then(Ship)
        .retry_after(Duration::from_millis(300))
        .create(&stage.executor)
        .await
        .expect("created");
    stage.order(1).await;
    let waiting = stage.waiting(&run_id).await;
    assert!(waiting.available_at.is_some(), "{waiting:?}");
    assert!(
        waiting
            .reason()
            .expect("a reason")
            .contains("comes back at")
    );
    let program = ended(&stage.executor, &run_id).await;
    assert_shipped(&program, 1);
    let took = program
        .finished_at
        .expect("ended")
        .since(program.created_at.expect("created"));
    assert!(
        took >= Duration::from_millis(299),
        "it came back after {took:?}"
    );
    assert_eq!(stage.desk.tokens().len(), 2);
    stage.working.stop().await;
}

#[tokio::test]
async fn retry_after_can_be_set_on_a_program_that_waits() {
    let stage = Stage::set().await;
    let run_id = stage.create([Then::HandOff, Then::Succeed]).await;
    stage.waiting(&run_id).await;
    let delay = Some(Duration::from_millis(10));
    assert!(
        stage
            .executor
            .set_retry_after(&run_id, delay)
            .await
            .expect("set")
    );
    assert_shipped(&ended(&stage.executor, &run_id).await, 1);
    stage.working.stop().await;
}

#[tokio::test]
async fn the_first_report_wins_over_an_attempt_that_came_back() {
    let stage = Stage::set().await;
    let run_id = Program::new(())
        .then(Order {
            acts: vec![Then::HandOff, Then::Late],
            attempts: 0,
        })
        .then(Ship)
        .retry_after(Duration::from_millis(10))
        .create(&stage.executor)
        .await
        .expect("created");
    let first = stage.order(1).await;
    let second = stage.order(2).await;
    assert!(stage.executor.complete(&first, 12).await.expect("reported"));
    assert_shipped(&ended(&stage.executor, &run_id).await, 12);
    stage.refused(&second, "has finished").await;
    stage.desk.gate.add_permits(1);
    stage.working.stop().await;
    let program = stage
        .executor
        .get(&run_id)
        .await
        .expect("read")
        .expect("there");
    assert_shipped(&program, 12);
}

#[tokio::test]
async fn a_running_program_can_be_taken_out_of_the_workers_hands() {
    let stage = Stage::set().await;
    let run_id = stage.create([Then::Late]).await;
    let token = stage.order(1).await;
    assert!(stage.executor.hand_off(&run_id).await.expect("handed off"));
    assert_eq!(stage.get(&run_id).await.state, ProgramState::Waiting);
    // The attempt was fenced off: its success changes nothing.
    stage.desk.gate.add_permits(1);
    stage.working.stop().await;
    let program = stage
        .executor
        .get(&run_id)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(
        (program.state, program.step),
        (ProgramState::Waiting, 0),
        "{program:?}"
    );
    assert!(stage.executor.complete(&token, 12).await.expect("reported"));
    let working = Working::start(&stage.executor);
    assert_shipped(&ended(&stage.executor, &run_id).await, 12);
    working.stop().await;
}
