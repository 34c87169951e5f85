//! RabbitMQ hands out the programs, and the store stays the truth.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use executor::{Executor, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Rabbit, Working, ended, until};
use tokio::sync::Semaphore;

type Seen = Arc<Mutex<HashSet<RunId>>>;

/// Notes that it ran; twice is a mistake.
#[job]
async fn once(ctx: Context, seen: State<Seen>) -> Result<(), JobError> {
    let is_new = seen.lock().expect("whole").insert(ctx.run_id().clone());
    if is_new {
        Ok(())
    } else {
        Err(JobError::from("it ran before"))
    }
}

/// Waits at the gate.
#[job]
async fn wait(gate: State<Arc<Semaphore>>) -> Result<(), JobError> {
    gate.acquire().await?.forget();
    Ok(())
}

struct Stage {
    fresh: Fresh,
    rabbit: Rabbit,
    gate: Arc<Semaphore>,
}

impl Stage {
    async fn new() -> Option<Self> {
        Some(Self {
            rabbit: Rabbit::shared().await?,
            fresh: Fresh::new(),
            gate: Arc::new(Semaphore::new(0)),
        })
    }

    fn builder(&self) -> executor::Builder {
        self.fresh
            .builder()
            .state(Seen::default())
            .state(Arc::clone(&self.gate))
            .amqp_url(self.rabbit.url())
            .amqp_prefix(self.rabbit.prefix())
    }

    async fn executor(&self) -> Executor {
        self.builder().connect().await.expect("an executor")
    }

    /// Waits until as many messages wait in the queue.
    async fn holds(&self, queue: &str, messages: u32) {
        until(&format!("{queue} holds {messages}"), async || {
            self.rabbit.queue(queue).await.map(|(count, _)| count) == Some(messages)
        })
        .await;
    }

    async fn is_consumed(&self, queue: &str) {
        until(&format!("{queue} is consumed"), async || {
            matches!(self.rabbit.queue(queue).await, Some((_, 1..)))
        })
        .await;
    }
}

async fn create(executor: &Executor, number: usize) -> Vec<RunId> {
    let programs = (0..number).map(|_| Once.into_program().queue("default"));
    let created = executor.create_many(programs).await.expect("created");
    let run_id = |created: executor::Result<executor::Created>| created.expect("created").run_id;
    created.into_iter().map(run_id).collect()
}

async fn count(executor: &Executor, state: ProgramState) -> u64 {
    let stats = executor.stats().await.expect("stats");
    stats.states.get(&state).copied().unwrap_or(0)
}

async fn all_finish(executor: &Executor, run_ids: &[RunId]) {
    for run_id in run_ids {
        let program = ended(executor, run_id).await;
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    }
}

#[tokio::test]
async fn programs_are_announced_and_their_messages_used_up() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let run_ids = create(&executor, 300).await;
    stage.holds("default", 300).await;
    let working = Working::start(&executor);
    all_finish(&executor, &run_ids).await;
    stage.holds("default", 0).await;
    stage.is_consumed("default").await;
    let more = create(&executor, 300).await;
    all_finish(&executor, &more).await;
    let one = Once.create(&executor).await.expect("created");
    all_finish(&executor, &[one]).await;
    working.stop().await;
    stage.holds("default", 0).await;
    stage.rabbit.delete("default").await;
}

#[tokio::test]
async fn a_program_that_is_due_later_is_not_announced_and_runs_then() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let delay = Duration::from_millis(300);
    let later = Once
        .run_after(delay)
        .create(&executor)
        .await
        .expect("created");
    let now = create(&executor, 1).await;
    stage.holds("default", 1).await;
    let working = Working::start(&executor);
    all_finish(&executor, &now).await;
    all_finish(&executor, &[later]).await;
    working.stop().await;
    stage.rabbit.delete("default").await;
}

#[tokio::test]
async fn lost_doubled_and_foreign_messages_change_nothing() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let run_ids = create(&executor, 50).await;
    stage.holds("default", 50).await;
    // Some are lost, others come twice and thrice, and some name programs that nobody has.
    for _ in 0..20 {
        stage.rabbit.get("default").await.expect("a message");
    }
    let (body, _) = stage.rabbit.get("default").await.expect("a message");
    let foreign = br#"{"v":1,"run_id":"nobody's"}"#;
    let more: Vec<&[u8]> = [&body[..], &foreign[..]].repeat(40);
    stage.rabbit.publish("default", &more).await;
    let working = Working::start(&executor);
    all_finish(&executor, &run_ids).await;
    stage.holds("default", 0).await;
    working.stop().await;
    stage.rabbit.delete("default").await;
}

#[tokio::test]
async fn what_can_not_be_read_is_put_aside_once_with_the_reason() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let first = create(&executor, 1).await;
    stage.holds("default", 1).await;
    stage.rabbit.publish("default", &[b"what?", b"{}"]).await;
    let working = Working::start(&executor);
    stage.holds("default.dead", 2).await;
    let second = create(&executor, 20).await;
    all_finish(&executor, &[first, second].concat()).await;
    working.stop().await;
    stage.holds("default", 0).await;
    let (body, reason) = stage.rabbit.get("default.dead").await.expect("a message");
    assert_eq!(body, b"what?");
    assert!(reason.contains("expected value"), "{reason}");
    let (body, reason) = stage.rabbit.get("default.dead").await.expect("a message");
    assert_eq!(body, b"{}");
    assert!(reason.contains("it has no version"), "{reason}");
    assert!(stage.rabbit.get("default.dead").await.is_none(), "once");
    stage.rabbit.delete("default").await;
    stage.rabbit.delete("default.dead").await;
}

#[tokio::test]
async fn a_full_worker_leaves_the_messages_to_others() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage
        .builder()
        .slots(2)
        .connect()
        .await
        .expect("an executor");
    let working = Working::start(&executor);
    stage.is_consumed("default").await;
    let held: Vec<_> = [executor.create(Wait).await, executor.create(Wait).await].into();
    let held: Vec<RunId> = held
        .into_iter()
        .map(|created| created.expect("created").run_id)
        .collect();
    until("it has no consumer", async || {
        matches!(stage.rabbit.queue("default").await, Some((_, 0)))
            && count(&executor, ProgramState::Running).await == 2
    })
    .await;
    // Nobody has a slot for these: their messages stay where others find them, beside those of the first
    // two, which it may have taken from the store before.
    let run_ids = create(&executor, 10).await;
    until("ten messages wait and more", async || {
        matches!(stage.rabbit.queue("default").await, Some((10.., _)))
    })
    .await;
    let other = stage.executor().await;
    let helping = Working::start(&other);
    all_finish(&executor, &run_ids).await;
    helping.stop().await;
    stage.gate.add_permits(2);
    all_finish(&executor, &held).await;
    stage.is_consumed("default").await;
    stage.holds("default", 0).await;
    working.stop().await;
    stage.rabbit.delete("default").await;
}

#[tokio::test]
async fn a_paused_queue_uses_up_its_messages_and_goes_on_from_the_store() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage
        .builder()
        .slots(3)
        .connect()
        .await
        .expect("an executor");
    executor.pause("default").await.expect("paused");
    let working = Working::start(&executor);
    let run_ids = create(&executor, 40).await;
    stage.is_consumed("default").await;
    stage.holds("default", 0).await;
    assert_eq!(count(&executor, ProgramState::Available).await, 40);
    executor.resume("default").await.expect("resumed");
    all_finish(&executor, &run_ids).await;
    working.stop().await;
    stage.rabbit.delete("default").await;
}

#[tokio::test]
async fn each_queue_has_its_own() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let builder = stage.builder().queues(["mail", "default"]);
    let executor = builder.connect().await.expect("an executor");
    let mut run_ids = create(&executor, 20).await;
    for _ in 0..20 {
        let mail = Once.queue("mail").create(&executor).await;
        run_ids.push(mail.expect("created"));
    }
    stage.holds("mail", 20).await;
    stage.holds("default", 20).await;
    let working = Working::start(&executor);
    all_finish(&executor, &run_ids).await;
    stage.holds("mail", 0).await;
    stage.holds("default", 0).await;
    working.stop().await;
    stage.rabbit.delete("mail").await;
    stage.rabbit.delete("default").await;
}
