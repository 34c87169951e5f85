//! Programs go to and fro between our workers and program-executor's, on one table and one queue.

#[allow(dead_code, reason = "not every test uses all of the jobs")]
#[path = "../jobs.rs"]
mod jobs;

use std::{collections::BTreeMap, time::Duration};

use executor::{Adopt, DynProgram, ErrorKind, Executor, Interop, ProgramInfo, RunId, prelude::*};
use executor_tests::{
    Fresh, Point, Process, ProgramExecutor, Rabbit, STAND_IN, StandIn, StandInJob as Js, Working,
    ended, until,
};
use jobs::{HoldLane, Once, Slow};
use serde_json::{Value, json};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
const PROGRAM_EXECUTOR: &str = env!("CARGO_BIN_EXE_test-program-executor");

/// Says what it was given, and saves something.
#[job]
async fn greet(
    data: executor::ProgramData<Value>,
    name: Option<String>,
    mut greeted: Saved<u32>,
) -> Result<String, JobError> {
    let times = *greeted + 1;
    greeted.set(times).await?;
    let name = name.unwrap_or_else(|| "nobody".to_owned());
    Ok(format!("{name} of {}", data["customer"]))
}

/// Succeeds.
#[job]
async fn fine() -> Result<(), JobError> {
    Ok(())
}

#[job]
async fn fatal() -> Result<(), JobError> {
    Err(JobError::from("broken"))
}

#[job]
async fn ignorable() -> Result<(), JobError> {
    Err(JobError::ignore("broken"))
}

#[job]
async fn retries(ctx: Context) -> Result<(), JobError> {
    match ctx.attempt() {
        1 | 2 => Err(JobError::retry("busy")),
        _ => Ok(()),
    }
}

#[job]
async fn exceeds(ctx: Context, mut rounds: Saved<u32>) -> Result<(), JobError> {
    if *rounds < 2 {
        let next = *rounds + 1;
        rounds.set(next).await?;
        ctx.checkpoint(Duration::ZERO)?;
    }
    Ok(())
}

/// A store, a queue that both sides share, and who works them.
struct Stage {
    fresh: Fresh,
    rabbit: Rabbit,
    queue: String,
}

impl Stage {
    async fn new() -> Option<Self> {
        let rabbit = Rabbit::shared().await?;
        let rabbit = Rabbit::on(rabbit.url(), "").await;
        let queue = format!("test-{}", uuid::Uuid::new_v4().simple());
        Some(Self {
            fresh: Fresh::new(),
            rabbit,
            queue,
        })
    }

    fn builder(&self) -> executor::Builder {
        self.fresh
            .builder()
            .amqp_url(self.rabbit.url())
            .interop(Interop::ProgramExecutor)
            .queues([self.queue.as_str()])
    }

    async fn executor(&self) -> Executor {
        self.builder().connect().await.expect("an executor")
    }

    /// A worker process of ours.
    fn worker(&self) -> executor_tests::Worker {
        self.fresh
            .worker(WORKER)
            .set("AMQP_URL", self.rabbit.url())
            .set("EXECUTOR_INTEROP", "program-executor")
            .set("EXECUTOR_QUEUE", &self.queue)
    }

    fn settings(&self, library: &[(&str, Js)]) -> StandIn {
        StandIn {
            amqp_url: self.rabbit.url().to_owned(),
            queue: self.queue.clone(),
            library: library
                .iter()
                .map(|(name, job)| ((*name).to_owned(), *job))
                .collect::<BTreeMap<_, _>>(),
            dies: None,
        }
    }

    /// A worker process of theirs.
    fn theirs(&self, settings: &StandIn) -> Process {
        let settings = serde_json::to_string(settings).expect("JSON");
        let worker = self.fresh.worker(PROGRAM_EXECUTOR);
        worker.set(STAND_IN, settings).start()
    }

    /// A producer of theirs.
    async fn producer(&self) -> ProgramExecutor {
        ProgramExecutor::connect(self.fresh.client(), self.settings(&[])).await
    }

    async fn messages(&self) -> u32 {
        let queue = self.rabbit.queue(&self.queue).await;
        let retry = format!("{}-retry-1000", self.queue);
        let retry = self.rabbit.queue(&retry).await;
        let count = |queue: Option<(u32, u32)>| queue.map_or(0, |(count, _)| count);
        count(queue) + count(retry)
    }

    /// The columns that program-executor's users look at.
    fn bookkeeping(&self, run_id: &str) -> BTreeMap<&'static str, Option<String>> {
        let of = format!("programs WHERE run_id = '{run_id}'");
        let value =
            |name: &'static str, expression: &str| (name, self.fresh.value(expression, &of));
        let is_set = |column: &str| format!("CASE WHEN {column} IS NULL THEN 0 ELSE 1 END");
        BTreeMap::from([
            value("step", "step"),
            value("step_retry_count", "step_retry_count"),
            value("error_message", "error_message"),
            value("finished", &is_set("finished_at")),
            value("errored", &is_set("errored_at")),
        ])
    }

    async fn clear(self) {
        self.rabbit.delete(&self.queue).await;
        self.rabbit
            .delete(&format!("{}-retry-1000", self.queue))
            .await;
    }
}

/// The stub that their library needs for each of our jobs.
const STUB: Js = Js::Exceeds(u32::MAX);

fn of(jobs: &[&str], data: Value) -> DynProgram {
    let mut program = DynProgram::new(data);
    for job in jobs {
        program = program.then_external(*job, &json!({}));
    }
    program
}

async fn finished(executor: &Executor, run_id: &str) -> ProgramInfo {
    let program = ended(executor, &RunId::from(run_id)).await;
    assert!(program.finished_at.is_some(), "{program:?}");
    program
}

#[tokio::test]
async fn both_sides_take_turns_at_the_steps_of_a_program() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let library = [("charge", Js::Ok), ("count", Js::Counts), ("greet", STUB)];
    let _theirs = stage.theirs(&stage.settings(&library));
    let working = Working::start(&executor);
    let steps = ["charge", "greet", "count", "greet", "charge"];
    let data = json!({"customer": 7});
    let job_data = json!({"greet": {"name": "Ada"}});
    let producer = stage.producer().await;
    let made_there = producer.create(&steps, &data, &job_data).await;
    let program = finished(&executor, &made_there).await;
    let outputs = &program.outputs;
    assert_eq!(outputs["greet"], "Ada of 7", "{program:?}");
    // What stands twice in a program of theirs shares its data.
    assert_eq!(program.job_data["greet"]["greeted"], 2, "{program:?}");
    assert_eq!(program.job_data["count"]["seen"], 1, "{program:?}");
    let made_here = executor.create(of(&["greet", "charge", "greet", "count"], data));
    let made_here = made_here.await.expect("created").run_id;
    let program = finished(&executor, made_here.as_str()).await;
    assert_eq!(program.job_data["greet#2"]["greeted"], 1, "{program:?}");
    for (run_id, last) in [(made_there.as_str(), "4"), (made_here.as_str(), "3")] {
        let columns = stage.bookkeeping(run_id);
        assert_eq!(columns["step"].as_deref(), Some(last), "{columns:?}");
    }
    working.stop().await;
    stage.clear().await;
}

#[tokio::test]
async fn the_columns_come_out_as_theirs_do() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage
        .builder()
        .unknown_job(executor::UnknownJob::Skip)
        .connect()
        .await
        .expect("an executor");
    let producer = stage.producer().await;
    let programs: [&[&str]; 6] = [
        &["fine", "fine"],
        &["fine", "fatal", "fine"],
        &["fine", "ignorable"],
        &["retries", "fine"],
        &["exceeds", "fine"],
        &["missing", "fine"],
    ];
    let nothing = json!({});
    let mut theirs = Vec::new();
    for jobs in programs {
        theirs.push(producer.create(jobs, &nothing, &nothing).await);
    }
    let library = [
        ("fine", Js::Ok),
        ("fatal", Js::Fatal),
        ("ignorable", Js::Ignorable),
        ("retries", Js::Retries(2)),
        ("exceeds", Js::Exceeds(2)),
    ];
    let worker = stage.theirs(&stage.settings(&library));
    for run_id in &theirs {
        ended(&executor, &RunId::from(run_id.as_str())).await;
    }
    worker.kill();
    let mut ours = Vec::new();
    for jobs in programs {
        ours.push(producer.create(jobs, &nothing, &nothing).await);
    }
    let working = Working::start(&executor);
    for ((jobs, theirs), ours) in programs.iter().zip(&theirs).zip(&ours) {
        ended(&executor, &RunId::from(ours.as_str())).await;
        assert_eq!(
            stage.bookkeeping(ours),
            stage.bookkeeping(theirs),
            "{jobs:?}"
        );
    }
    working.stop().await;
    assert_eq!(stage.messages().await, 0);
    stage.clear().await;
}

#[tokio::test]
async fn a_program_that_was_stopped_by_hand_starts_nowhere() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let producer = stage.producer().await;
    let run_id = producer
        .create(&["fine", "fine"], &json!({}), &json!({}))
        .await;
    stage
        .fresh
        .sql("UPDATE programs SET errored_at = CURRENT_TIMESTAMP, error_message = 'no'");
    let working = Working::start(&executor);
    until("the message is gone", async || stage.messages().await == 0).await;
    let columns = stage.bookkeeping(&run_id);
    assert_eq!(columns["step"].as_deref(), Some("0"), "{columns:?}");
    assert_eq!(
        columns["error_message"].as_deref(),
        Some("no"),
        "{columns:?}"
    );
    working.stop().await;
    stage.clear().await;
}

#[tokio::test]
async fn a_full_queue_leaves_its_messages_to_others_and_keeps_no_queue_from_its_slots() {
    const HELD: usize = 6;
    let Some(stage) = Stage::new().await else {
        return;
    };
    let mail = format!("{}-mail", stage.queue);
    let builder = stage.builder().queues([&stage.queue, &mail]);
    let executor = builder.connect().await.expect("an executor");
    let worker = { stage.worker() }
        .set("EXECUTOR_QUEUE", format!("{}:2,{mail}:1", stage.queue))
        .start();
    let gate = stage.fresh.folder().join("gate");
    let hold = || HoldLane {
        lane: 1,
        file: gate.display().to_string(),
    };
    let programs = (0..HELD).map(|_| hold().into_program().queue(&*stage.queue).erase());
    let created = executor.create_many(programs.collect::<Vec<_>>()).await;
    let held: Vec<RunId> = { created.expect("created").into_iter() }
        .map(|created| created.expect("new").run_id)
        .collect();
    let begun = || stage.fresh.ledger().of("begin").len();
    until("both slots are taken", async || begun() == 2).await;
    for _ in 0..5 {
        let quick = Once.queue(&*mail).create(&executor).await.expect("created");
        finished(&executor, quick.as_str()).await;
    }
    until("others are to have the messages", async || {
        stage.rabbit.queue(&stage.queue).await == Some((4, 0))
    })
    .await;
    until("the other queue is heard", async || {
        stage.rabbit.queue(&mail).await == Some((0, 1))
    })
    .await;
    assert_eq!(begun(), 2);
    std::fs::write(&gate, "").expect("a gate");
    for run_id in &held {
        finished(&executor, run_id.as_str()).await;
    }
    until("it is heard again", async || {
        stage.rabbit.queue(&stage.queue).await == Some((0, 1))
    })
    .await;
    worker.stop().await;
    for name in [mail.clone(), format!("{mail}-retry-1000")] {
        stage.rabbit.delete(&name).await;
    }
    stage.clear().await;
}

#[tokio::test]
async fn what_we_lack_waits_for_their_worker() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let working = Working::start(&executor);
    let producer = stage.producer().await;
    let made_there = producer.create(&["charge"], &json!({}), &json!({})).await;
    let made_here = executor.create(of(&["fine", "charge", "fine"], json!({})));
    let made_here = made_here.await.expect("created").run_id;
    // Our own part of it is done, and it comes back again and again.
    until("it is theirs", async || {
        stage.bookkeeping(made_here.as_str())["step"].as_deref() == Some("1")
    })
    .await;
    let _theirs = stage.theirs(&stage.settings(&[("charge", Js::Ok), ("fine", STUB)]));
    finished(&executor, &made_there).await;
    finished(&executor, made_here.as_str()).await;
    working.stop().await;
    stage.clear().await;
}

/// A worker that only passes messages on leaves them to those who can do something with them.
#[tokio::test]
async fn a_backlog_of_theirs_is_theirs() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let working = Working::start(&executor);
    let theirs = (0..800).map(|_| of(&["charge", "charge"], json!({})));
    let theirs = executor.create_many(theirs).await.expect("created");
    let _theirs = stage.theirs(&stage.settings(&[("charge", Js::Ok)]));
    let all = async {
        for created in theirs {
            finished(&executor, created.expect("created").run_id.as_str()).await;
        }
    };
    // It takes a tenth of this; where our worker snatches all of them again and again, twice as long.
    tokio::time::timeout(Duration::from_secs(50), all)
        .await
        .expect("they have the messages");
    working.stop().await;
    stage.clear().await;
}

#[tokio::test]
async fn their_deaths_lose_nothing_and_double_none_of_our_steps() {
    for point in [Point::Ran, Point::Published, Point::Recorded] {
        let Some(stage) = Stage::new().await else {
            return;
        };
        let executor = stage.executor().await;
        let mut settings = stage.settings(&[("charge", Js::Ok), ("once", STUB)]);
        settings.dies = Some(("charge".to_owned(), point));
        let producer = stage.producer().await;
        let steps = ["charge", "once", "once"];
        let run_id = producer.create(&steps, &json!({}), &json!({})).await;
        let mut dying = stage.theirs(&settings);
        until("it has died", async || dying.has_ended()).await;
        settings.dies = None;
        let _theirs = stage.theirs(&settings);
        let _ours = stage.worker().start();
        finished(&executor, &run_id).await;
        until("no message is left", async || stage.messages().await == 0).await;
        let starts = stage.fresh.ledger().of("start");
        let steps: Vec<_> = starts.iter().map(|entry| entry.step).collect();
        assert_eq!(steps, [1, 2], "{point:?}: {starts:?}");
        stage.clear().await;
    }
}

#[tokio::test]
async fn our_death_in_a_job_gives_the_program_to_another_of_ours() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let _theirs = stage.theirs(&stage.settings(&[("charge", Js::Ok), ("pages", STUB)]));
    let producer = stage.producer().await;
    let data = json!({"pages": {"pages": 4, "millis": 50}});
    let run_id = producer
        .create(&["charge", "pages", "charge"], &json!({}), &data)
        .await;
    let dying = stage.worker().start();
    until("it has saved", async || {
        stage.fresh.ledger().count("saved") > 0
    })
    .await;
    dying.kill();
    let _ours = stage.worker().start();
    let program = finished(&executor, &run_id).await;
    assert_eq!(program.outputs["pages"], 4);
    let starts = stage.fresh.ledger().of("start");
    assert!(
        starts[1].number > 0,
        "it goes on from what was saved: {starts:?}"
    );
    stage.clear().await;
}

/// The worker that gives a program away dies before its message is out, or before it knows that it is.
#[tokio::test]
async fn our_death_in_a_hand_over_loses_nothing() {
    for answers_only in [false, true] {
        let Some(stage) = Stage::new().await else {
            return;
        };
        let executor = stage.executor().await;
        let proxy = executor_tests::Proxy::to_url(stage.rabbit.url()).await;
        let file = stage.fresh.folder().join("open");
        let dying = stage.worker().set("AMQP_URL", proxy.url()).start();
        let producer = stage.producer().await;
        let data = json!({"gate": {"file": file.display().to_string()}});
        let run_id = producer
            .create(&["gate", "charge"], &json!({}), &data)
            .await;
        let ledger = stage.fresh.ledger();
        until("it waits at the gate", async || ledger.count("saved") > 0).await;
        if answers_only {
            proxy.stall_answers_after(&["[\"charge\"]"]);
        } else {
            proxy.stall();
        }
        std::fs::write(&file, "").expect("a file");
        until("the step is recorded", async || {
            stage.bookkeeping(&run_id)["step"].as_deref() == Some("1")
        })
        .await;
        if answers_only {
            until("the message is out", async || proxy.stalls_answers()).await;
        }
        dying.kill();
        let _theirs = stage.theirs(&stage.settings(&[("charge", Js::Ok), ("gate", STUB)]));
        let _ours = stage.worker().start();
        finished(&executor, &run_id).await;
        assert_eq!(ledger.count("start"), 1, "{:?}", ledger.entries());
        stage.clear().await;
    }
}

#[tokio::test]
async fn a_worker_that_stops_gives_its_programs_to_whoever_hears_the_queue() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let stopping = stage.worker().start();
    let slow = executor
        .create(Slow { millis: 60_000 })
        .await
        .expect("created")
        .run_id;
    until("it runs", async || stage.fresh.ledger().count("start") == 1).await;
    stopping.stop().await;
    assert_eq!(stage.messages().await, 1, "it is the broker's");
    let of = format!("programs WHERE run_id = '{slow}'");
    assert_eq!(stage.fresh.value("available_at", &of), None);
    assert_eq!(stage.fresh.value("lease_until", &of), None);
    executor.cancel(&slow).await.expect("cancelled");
    stage.clear().await;
}

#[tokio::test]
async fn what_a_full_worker_has_no_slot_for_stays_in_the_queue() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let _ours = stage.worker().set("EXECUTOR_SLOTS", 2).start();
    let producer = stage.producer().await;
    let data = json!({"slow": {"millis": 600_000}});
    for _ in 0..2 {
        producer.create(&["slow"], &json!({}), &data).await;
    }
    let ledger = stage.fresh.ledger();
    until("it is full", async || ledger.count("start") == 2).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(producer.create(&["once"], &json!({}), &json!({})).await);
    }
    // Another one has them at once.
    let _other = stage.worker().start();
    for run_id in ids {
        finished(&executor, &run_id).await;
    }
    stage.clear().await;
}

#[tokio::test]
async fn a_program_created_while_the_broker_is_away_runs() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let mut proxy = executor_tests::Proxy::to_url(stage.rabbit.url()).await;
    proxy.refuse().await;
    let executor = stage.builder().amqp_url(proxy.url()).connect().await;
    let executor = executor.expect("an executor");
    let working = Working::start(&executor);
    let run_id = executor.create(of(&["fine", "fine"], json!({}))).await;
    finished(&executor, run_id.expect("created").run_id.as_str()).await;
    // A step of theirs waits until it is there again.
    let theirs = executor
        .create(of(&["fine", "charge", "fine"], json!({})))
        .await;
    let theirs = theirs.expect("created").run_id;
    until("our part is done", async || {
        stage.bookkeeping(theirs.as_str())["step"].as_deref() == Some("1")
    })
    .await;
    proxy.resume().await;
    let _theirs = stage.theirs(&stage.settings(&[("charge", Js::Ok), ("fine", STUB)]));
    finished(&executor, theirs.as_str()).await;
    working.stop().await;
    stage.clear().await;
}

/// Rows that were there before us are run by nobody but a message.
#[tokio::test]
async fn nothing_old_wakes_up() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    stage.fresh.sql(
        "INSERT INTO programs (run_id, jobs, step, job_data, program_data)
         VALUES ('17', '[\"once\"]', 0, '{}', '{}')",
    );
    let working = Working::start(&executor);
    let run_id = executor.create(Once).await;
    // `once` writes into a ledger, which this process has none of: it is enough that it began.
    ended(&executor, &run_id.expect("created").run_id).await;
    let columns = stage.bookkeeping("17");
    assert_eq!(columns["finished"].as_deref(), Some("0"), "{columns:?}");
    assert_eq!(columns["errored"].as_deref(), Some("0"), "{columns:?}");
    working.stop().await;
    stage.clear().await;
}

/// RabbitMQ has lost their messages; nobody can see that of a row.
#[tokio::test]
async fn programs_whose_messages_are_lost_are_adopted() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let executor = stage.executor().await;
    let adopt = async || executor.adopt(Adopt::older_than(Duration::ZERO)).await;
    let refused = async |why: &str| {
        let error = adopt().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains(why), "{error}");
    };
    let producer = stage.producer().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(
            producer
                .create(&["fine", "fine"], &json!({}), &json!({}))
                .await,
        );
    }
    refused("holds 2 messages").await;
    stage.rabbit.delete(&stage.queue).await;
    let theirs = stage.theirs(&stage.settings(&[("fine", Js::Ok)]));
    until("it hears", async || {
        stage.rabbit.queue(&stage.queue).await == Some((0, 1))
    })
    .await;
    refused("is heard by 1").await;
    let young = Adopt::older_than(Duration::from_secs(3600));
    assert_eq!(executor.adopt(young.dry_run()).await.expect("counted"), 0);
    let all = Adopt::older_than(Duration::ZERO);
    assert_eq!(executor.adopt(all.dry_run()).await.expect("counted"), 2);
    theirs.kill();
    until("it is gone", async || {
        stage.rabbit.queue(&stage.queue).await == Some((0, 0))
    })
    .await;
    assert_eq!(adopt().await.expect("adopted"), 2);
    assert_eq!(adopt().await.expect("none is left"), 0);
    let working = Working::start(&executor);
    for run_id in ids {
        let program = finished(&executor, &run_id).await;
        assert_eq!(program.crashes, 0);
    }
    working.stop().await;
    stage.clear().await;
}

#[tokio::test]
async fn the_doctor_knows_which_jobs_need_a_stub() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let doctor = async |amqp_url: &str| {
        let doctor = tokio::process::Command::new(env!("CARGO_BIN_EXE_test-app"))
            .args(["doctor", "--json"])
            .env("DATABASE_URL", stage.fresh.url())
            .env("AMQP_URL", amqp_url)
            .env("EXECUTOR_INTEROP", "program-executor")
            .env("EXECUTOR_QUEUE", &stage.queue)
            .output();
        let output = doctor.await.expect("it runs");
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.success(), findings)
    };
    let about = |findings: &[Value], about: &str| -> Vec<String> {
        let its = findings.iter().filter(|finding| finding["about"] == about);
        its.map(|finding| format!("{}: {}", finding["verdict"], finding["text"]))
            .collect()
    };
    // It makes the table.
    let _executor = stage.executor().await;
    let producer = stage.producer().await;
    producer.create(&["fine"], &json!({}), &json!({})).await;
    let (well, findings) = doctor(stage.rabbit.url()).await;
    assert!(well, "{findings:?}");
    let stubs = about(&findings, "interop");
    assert!(stubs[0].contains("a stub for each"), "{stubs:?}");
    let queues = about(&findings, "RabbitMQ");
    let queue = format!("{}: 1 messages, 0 consumers", stage.queue);
    assert!(
        queues.iter().any(|text| text.contains(&queue)),
        "{queues:?}"
    );
    let (well, findings) = doctor("amqp://guest:secret@127.0.0.1:1/%2f").await;
    assert!(!well);
    let trouble = about(&findings, "RabbitMQ");
    assert!(trouble[0].starts_with("\"wrong\""), "{trouble:?}");
    assert!(!trouble[0].contains("secret"), "{trouble:?}");
    stage.clear().await;
}
