//! What programs carry: data from outside, repeated jobs, outputs, state, children.

use executor::{DynProgram, ErrorKind, Filter, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Working, ended, until};
use serde_json::{Map, Value, json};

#[job]
async fn number(value: u64, factor: Option<u64>) -> Result<u64, JobError> {
    Ok(value * factor.unwrap_or(1))
}

#[job]
async fn sum(
    base: ProgramData<u64>,
    last: Output<Number>,
    other: Option<Output<Shift>>,
) -> Result<u64, JobError> {
    Ok(*base + *last + other.map_or(0, |other| *other))
}

#[job]
async fn shift(by: u64) -> Result<u64, JobError> {
    Ok(by)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

#[track_caller]
fn refused(jobs: &[&str], program_data: Value, job_data: Value) -> (ErrorKind, String) {
    let error = DynProgram::from_json(&names(jobs), &program_data, &object(job_data))
        .map(drop)
        .expect_err("it can't run");
    (error.kind(), error.to_string())
}

#[test]
fn data_from_outside_is_checked_before_it_is_stored() {
    let (kind, text) = refused(&["nubmer"], json!(1), json!({}));
    assert_eq!(kind, ErrorKind::UnknownJob);
    assert!(text.contains("did you mean \"number\"?"), "{text}");
    let (kind, text) = refused(&["number"], json!(1), json!({"number": {"factor": 2}}));
    assert_eq!(kind, ErrorKind::InvalidData);
    assert!(text.contains("missing field `value`"), "{text}");
    let (_, text) = refused(&["number"], json!(1), json!({"number": {"value": "x"}}));
    assert!(text.contains("at value: invalid type"), "{text}");
    let (_, text) = refused(
        &["number"],
        json!(1),
        json!({"number": {"value": 1, "fcator": 2}}),
    );
    assert!(text.contains("at fcator: no such field"), "{text}");
    let data = json!({"number": {"value": 1}, "sum": {}});
    let (_, text) = refused(&["number"], json!(1), data);
    assert!(
        text.contains("\"sum\", which is no job of this program"),
        "{text}"
    );
    let (kind, text) = refused(
        &["sum", "number"],
        json!(1),
        json!({"number": {"value": 1}}),
    );
    assert_eq!(kind, ErrorKind::InvalidProgram);
    assert!(text.contains("needs the output of \"number\""), "{text}");
    let data = json!({"number": {"value": 1}});
    let (_, text) = refused(&["number", "sum"], json!("one"), data);
    assert!(
        text.contains("program data") && text.contains("invalid type"),
        "{text}"
    );
    let (_, text) = refused(&[], json!(1), json!({}));
    assert!(text.contains("list of jobs is empty"), "{text}");
    let (_, text) = refused(&["shift"], json!("a\u{0}b"), json!({"shift": {"by": 1}}));
    assert!(text.contains("\\u0000"), "{text}");
}

#[tokio::test]
async fn a_job_with_a_context_is_called_as_a_function() {
    #[job]
    async fn remember(ctx: Context, mut seen: Saved<u32>) -> Result<u32, JobError> {
        ctx.check_cancelled()?;
        seen.set(ctx.attempt()).await?;
        ctx.job_data().set("note", &"x").await?;
        if *seen > 1 {
            return Err(JobError::retry("again"));
        }
        Ok(*seen)
    }
    let called = remember(Context::new(), Saved::new(0)).await;
    assert_eq!(called.expect("it succeeds"), 1);
    assert!(JobError::retry("again").is_retryable());
    assert!(!JobError::fatal("no").is_retryable());
}

#[tokio::test]
async fn a_program_without_jobs_is_refused() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let error = Program::new(()).create(&executor).await.expect_err("empty");
    assert_eq!(error.kind(), ErrorKind::InvalidProgram);
    assert!(executor.list(Filter::new()).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_repeated_job_has_data_and_output_of_its_own() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let typed = Program::new(100_u64)
        .then(Number {
            value: 1,
            factor: None,
        })
        .then_again(Number {
            value: 2,
            factor: Some(10),
        })
        .then_if(false, Shift { by: 1000 })
        .then(Sum)
        .create(&executor)
        .await
        .expect("created");
    let job_data = json!({"number": {"value": 1}, "number#2": {"value": 2, "factor": 10},
        "shift": {"by": 1000}});
    let jobs = names(&["number", "number", "shift", "sum"]);
    let from_json = DynProgram::from_json(&jobs, &json!(100), &object(job_data))
        .expect("it fits")
        .create(&executor)
        .await
        .expect("created");
    let all = executor
        .work_until_ended([&typed, &from_json])
        .await
        .expect("they end");
    // The nearest earlier run counts.
    assert_eq!(all[0].output(), Some(&json!(120)));
    assert_eq!(
        all[0].outputs,
        json!({"number": 1, "number#2": 20, "sum": 120})
    );
    assert_eq!(all[1].output(), Some(&json!(1120)));
}

#[tokio::test]
async fn jobs_may_be_added_in_loops() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let shifts = (1..=3).map(|by| Shift { by });
    let program = Program::new(1_u64)
        .then(Number {
            value: 1,
            factor: None,
        })
        .then_each(shifts)
        .then(Sum)
        .create(&executor)
        .await
        .expect("created");
    let all = executor
        .work_until_ended([&program])
        .await
        .expect("it ends");
    assert_eq!(all[0].output(), Some(&json!(5)), "the last of them counts");
}

#[job]
async fn untyped(ctx: Context, kept: Option<u32>) -> Result<Value, JobError> {
    let data = ctx.job_data();
    data.set("seen", &kept).await?;
    data.merge(object(json!({"nested": {"a": 1}, "gone": null})))
        .await?;
    data.merge(object(json!({"nested": {"b": 2}}))).await?;
    assert_eq!(data.get::<u32>("missing")?, None);
    Ok(Value::Object(data.all()?))
}

#[tokio::test]
async fn untyped_job_data_merges_shallowly_and_keeps_null() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let run_id = Untyped { kept: Some(7) }
        .create(&executor)
        .await
        .expect("created");
    let program = executor
        .work_until_ended([&run_id])
        .await
        .expect("it ends")
        .remove(0);
    let all = json!({"kept": 7, "seen": 7, "nested": {"b": 2}, "gone": null});
    assert_eq!(program.output(), Some(&all));
    assert_eq!(
        program.job_data["untyped"], all,
        "what was read is what is stored"
    );
}

#[job]
async fn parent(ctx: Context, children: u64) -> Result<Vec<RunId>, JobError> {
    (1..=children)
        .map(|by| ctx.start(Shift { by }.queue("children")))
        .collect()
}

#[tokio::test]
async fn a_job_starts_programs_with_its_step() {
    let fresh = Fresh::new();
    let executor = fresh
        .builder()
        .queues(["default", "children"])
        .connect()
        .await
        .expect("connected");
    let working = Working::start(&executor);
    let run_id = Parent { children: 3 }
        .create(&executor)
        .await
        .expect("created");
    let program = ended(&executor, &run_id).await;
    let children = executor.children(&run_id).await.expect("read");
    assert_eq!(program.output(), Some(&json!(children)));
    assert_eq!(children.len(), 3);
    for (child, by) in children.iter().zip(1..) {
        let child = ended(&executor, child).await;
        assert_eq!(child.output(), Some(&json!(by)));
        assert_eq!(child.parent_run_id.as_ref(), Some(&run_id));
    }
    working.stop().await;
}

#[tokio::test]
async fn the_handle_tells_what_it_did() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let nobody = RunId::from("nobody");
    assert!(executor.get(&nobody).await.expect("read").is_none());
    assert!(!executor.cancel(&nobody).await.expect("reached"));
    assert!(!executor.retry(&nobody).await.expect("reached"));
    assert!(!executor.delete(&nobody).await.expect("reached"));
    assert!(!executor.complete(&nobody, 1).await.expect("reached"));
    assert!(
        !executor
            .set_attributes(&nobody, json!({}))
            .await
            .expect("reached")
    );
    assert_eq!(
        executor.wait(&nobody).await.expect_err("gone").kind(),
        ErrorKind::NotFound
    );
    let error = executor
        .set_attributes(&nobody, 7)
        .await
        .expect_err("no object");
    assert_eq!(error.kind(), ErrorKind::InvalidData);

    let run_id = Shift { by: 1 }
        .queue("slow")
        .named("shifting")
        .attributes(json!({"customer": 7}))
        .create(&executor)
        .await
        .expect("created");
    let found = executor
        .list(Filter::new().queue("slow").name("shifting"))
        .await
        .expect("read");
    assert_eq!(found[0].attributes, json!({"customer": 7}));
    let stats = executor.stats().await.expect("read");
    assert_eq!(stats.queues["slow"].states[&ProgramState::Available], 1);
    assert!(executor.cancel(&run_id).await.expect("there"));
    assert_eq!(
        executor
            .prune(std::time::Duration::ZERO)
            .await
            .expect("pruned"),
        1
    );
    assert!(executor.get(&run_id).await.expect("read").is_none());
}

#[tokio::test]
async fn a_watch_shows_each_step() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let program = Program::new(1_u64)
        .then(Number {
            value: 1,
            factor: None,
        })
        .then(Sum);
    let run_id = program.create(&executor).await.expect("created");
    let mut watch = executor.watch(&run_id);
    let first = watch.next().await.expect("there").expect("as it is");
    assert_eq!(first.state, ProgramState::Available);
    let working = Working::start(&executor);
    let mut last = first;
    while let Some(program) = watch.next().await.expect("there") {
        assert!(program.step >= last.step);
        last = program;
    }
    assert_eq!(last.state, ProgramState::Finished);
    working.stop().await;
}

#[tokio::test]
async fn many_are_created_at_once_each_with_its_result() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let mut programs: Vec<DynProgram> = (0..2500)
        .map(|by| Shift { by }.erase().then(Shift { by }))
        .collect();
    programs.insert(1, DynProgram::new(()).then_named("nobody", &json!({})));
    let created = executor.create_many(programs).await.expect("stored");
    assert_eq!(created.len(), 2501);
    let wrong: Vec<_> = created
        .iter()
        .enumerate()
        .filter(|(_, one)| one.is_err())
        .collect();
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].0, 1);
    assert_eq!(
        executor.stats().await.expect("read").states[&ProgramState::Available],
        2500
    );
}

#[tokio::test]
async fn a_job_of_other_workers_waits_for_them() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let program = DynProgram::new(())
        .then(Shift { by: 1 })
        .then_external("elsewhere", &json!({"any": 1}))
        .then(Shift { by: 1 });
    let run_id = program.create(&executor).await.expect("created");
    let working = Working::start(&executor);
    until("our part is done", async || {
        let program = executor.get(&run_id).await.expect("read").expect("there");
        program.step == 1 && program.state == ProgramState::Available
    })
    .await;
    let program = executor.get(&run_id).await.expect("read").expect("there");
    assert_eq!(program.job_data["elsewhere"]["any"], 1);
    working.stop().await;
}

#[tokio::test]
async fn a_handle_can_stop_its_workers() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let working = tokio::spawn({
        let executor = executor.clone();
        async move { executor.work_until(std::future::pending()).await }
    });
    let run_id = Shift { by: 1 }.create(&executor).await.expect("created");
    ended(&executor, &run_id).await;
    executor.shutdown().await;
    working.await.expect("no panic").expect("stopped");
    until("no worker is listed", async || {
        executor.workers().await.expect("read").is_empty()
    })
    .await;
}
