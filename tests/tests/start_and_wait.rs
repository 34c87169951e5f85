//! A job that hands its work to another program: its own goes on when that one has ended, however it has.

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use executor::{Event, Executor, ProgramInfo, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Working, ended, until};
use jobs::{Bind, PagesElsewhere};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

#[job]
async fn count(text: String) -> Result<usize, JobError> {
    match text.is_empty() {
        true => Err(JobError::fatal("nothing to count")),
        false => Ok(text.len()),
    }
}

#[job]
async fn double(number: Output<Count>) -> Result<usize, JobError> {
    Ok(*number * 2)
}

/// Has the letters counted by a program of two jobs, in this queue.
#[job]
async fn ask(ctx: Context, text: String, queue: Option<String>) -> Result<usize, JobError> {
    let program = Program::new(()).then(Count { text }).then(Double);
    Err(ctx.start_and_wait(program.queue(queue.as_deref().unwrap_or("default"))))
}

#[job]
async fn tell(answer: Output<Ask>) -> Result<String, JobError> {
    Ok(format!("twice the letters: {}", *answer))
}

#[job]
async fn ask_for_text(ctx: Context) -> Result<String, JobError> {
    let text = "four".to_owned();
    Err(ctx.start_and_wait(Count { text }))
}

fn question(text: &str, queue: Option<&str>) -> impl IntoProgram + use<> {
    let ask = Ask {
        text: text.to_owned(),
        queue: queue.map(str::to_owned),
    };
    Program::new(()).then(ask).then(Tell)
}

async fn set() -> (Fresh, Executor, Working) {
    let fresh = Fresh::new();
    // A program that waits has no slot: with two, each would wait for the other.
    let executor = fresh.builder().slots(1).connect().await.expect("connected");
    let working = Working::start(&executor);
    (fresh, executor, working)
}

async fn get(executor: &Executor, run_id: &RunId) -> ProgramInfo {
    executor.get(run_id).await.expect("read").expect("there")
}

/// Waits until it waits; for whom.
async fn waits_for(executor: &Executor, run_id: &RunId) -> RunId {
    until("it waits", async || {
        get(executor, run_id).await.state == ProgramState::Waiting
    })
    .await;
    let program = get(executor, run_id).await;
    let child = program.waits_for.clone().expect("for a program");
    let reason = program.reason().expect("a reason");
    assert_eq!(
        reason,
        format!("waiting for the end of the program {child}")
    );
    child
}

#[tokio::test]
async fn later_jobs_read_what_the_other_program_has_made() {
    let (_fresh, executor, working) = set().await;
    let begin = Instant::now();
    for n in 1..=10 {
        let run_id = executor.create(question(&"x".repeat(n), None)).await;
        let run_id = run_id.expect("created").run_id;
        let program = ended(&executor, &run_id).await;
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        let told = format!("twice the letters: {}", 2 * n);
        assert_eq!(program.output(), Some(&told.into()));
        let children = executor.children(&run_id).await.expect("read");
        assert_eq!(children.len(), 1);
        let child = get(&executor, &children[0]).await;
        assert_eq!(child.parent_run_id, Some(run_id));
    }
    // Were each found by a look at all only, it would take most of a second and more.
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    working.stop().await;
}

#[tokio::test]
async fn an_output_that_does_not_fit_fails_the_step() {
    let (_fresh, executor, working) = set().await;
    let run_id = AskForText.create(&executor).await.expect("created");
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Errored);
    let message = program.error_message.expect("a message");
    assert!(
        message.contains("not what the job \"ask_for_text\" returns"),
        "{message}"
    );
    working.stop().await;
}

#[tokio::test]
async fn a_wait_ends_whatever_becomes_of_the_other_program() {
    let (fresh, executor, working) = set().await;
    let mut events = executor.events();
    // Nobody works that queue.
    let create = async |text: &str| {
        let question = question(text, Some("nobody"));
        executor.create(question).await.expect("created").run_id
    };
    let failed = async |run_id: &RunId, child: &RunId, why: &str| {
        let program = ended(&executor, run_id).await;
        assert_eq!(program.state, ProgramState::Errored, "{program:?}");
        let message = program.error_message.expect("a message");
        let expected = format!("the program {child} that it waited for {why}");
        assert_eq!(message, expected);
    };

    let run_id = create("a").await;
    let child = waits_for(&executor, &run_id).await;
    assert!(executor.cancel(&child).await.expect("cancelled"));
    failed(&run_id, &child, "has errored: cancelled").await;

    let run_id = create("a").await;
    let child = waits_for(&executor, &run_id).await;
    assert!(executor.delete(&child).await.expect("deleted"));
    failed(&run_id, &child, "was deleted").await;

    // By any SQL client.
    let run_id = create("a").await;
    let child = waits_for(&executor, &run_id).await;
    fresh.sql(&format!(
        "UPDATE programs SET errored_at = CURRENT_TIMESTAMP, error_message = 'enough'
         WHERE run_id = '{child}'"
    ));
    failed(&run_id, &child, "has errored: enough").await;

    let run_id = create("a").await;
    let child = waits_for(&executor, &run_id).await;
    fresh.sql(&format!("DELETE FROM programs WHERE run_id = '{child}'"));
    failed(&run_id, &child, "was deleted").await;
    let heard = async {
        while let Some(event) = events.next().await {
            if matches!(event, Event::Errored { run_id: it, .. } if it == run_id) {
                return;
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), heard);
    heard.await.expect("people are told");

    // By itself; and a retry starts another one.
    let run_id = executor.create(question("", None)).await.expect("created");
    let run_id = run_id.run_id;
    let program = ended(&executor, &run_id).await;
    let children = executor.children(&run_id).await.expect("read");
    failed(&run_id, &children[0], "has errored: nothing to count").await;
    assert_eq!((program.step, program.errors.len()), (0, 1));
    assert!(executor.retry(&run_id).await.expect("retried"));
    ended(&executor, &run_id).await;
    let children = executor.children(&run_id).await.expect("read");
    assert_eq!(children.len(), 2);

    // Whoever waits can be stopped itself; the other program goes on.
    let run_id = create("a").await;
    let child = waits_for(&executor, &run_id).await;
    assert!(executor.cancel(&run_id).await.expect("cancelled"));
    assert_eq!(get(&executor, &child).await.state, ProgramState::Available);
    working.stop().await;
    let waits = fresh.value("COUNT(*)", "programs_waits");
    assert_eq!(waits.as_deref(), Some("1"), "of the last one only");
}

#[tokio::test]
async fn kills_lose_no_wait_and_double_no_child() {
    const PROGRAMS: usize = 30;
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    // Those who wait and those who are waited for have workers of their own.
    let worker = |queue: &str| {
        let worker = fresh.worker(WORKER).set("EXECUTOR_QUEUE", queue);
        worker.set("EXECUTOR_MAX_CRASHES", 1000).start()
    };
    let mut workers = vec![
        ("default", worker("default")),
        ("elsewhere", worker("elsewhere")),
    ];
    let mut run_ids = Vec::new();
    for n in 0..PROGRAMS {
        let ask = PagesElsewhere {
            pages: 1 + u32::try_from(n % 3).expect("small"),
            millis: 20,
        };
        let run_id = Program::new(()).then(ask).then(Bind).create(&executor);
        run_ids.push(run_id.await.expect("created"));
        if n % 5 == 4 {
            let before = ledger.count("bound") + ledger.count("saved");
            until("it goes on", async || {
                ledger.count("bound") + ledger.count("saved") > before
            })
            .await;
            let (queue, killed) = workers.remove(0);
            killed.kill();
            workers.push((queue, worker(queue)));
        }
    }
    for (n, run_id) in run_ids.iter().enumerate() {
        let program = ended(&executor, run_id).await;
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        assert_eq!(program.output(), Some(&(1 + n % 3).into()));
        let children = executor.children(run_id).await.expect("read");
        assert_eq!(children.len(), 1, "{children:?}");
    }
    // A step that was recorded never ran again: nobody bound what was handed again behind that.
    let mut bound: HashMap<RunId, usize> = HashMap::new();
    for entry in ledger.entries() {
        match entry.what.as_str() {
            "bound" => *bound.entry(entry.run_id).or_default() += 1,
            "handed" => assert!(!bound.contains_key(&entry.run_id), "{entry:?}"),
            _ => {}
        }
    }
    assert_eq!(bound.len(), PROGRAMS);
    let waits = fresh.value("COUNT(*)", "programs_waits");
    assert_eq!(waits.as_deref(), Some("0"));
}
