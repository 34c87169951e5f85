//! Keys that only one program has, whoever creates it, and however many come at once.

use std::time::Duration;

use executor::{Created, DynProgram, ErrorKind, Filter, ProgramInfo, ProgramState, prelude::*};
use executor_tests::{Fresh, Working, ended};

const HOUR: Duration = Duration::from_secs(3600);

#[job]
async fn write_down(text: String) -> Result<String, JobError> {
    Ok(text)
}

fn note(text: &str) -> WriteDown {
    WriteDown::new(text.to_owned())
}

/// Starts a child with each kind of key.
#[job]
async fn start_children(ctx: Context) -> Result<(), JobError> {
    ctx.start(note("a").named("within").unique_for("child", HOUR))?;
    let last = WriteDown::new(ctx.run_id().to_string()).named("last");
    ctx.start(last.run_after(HOUR).unique("child").replace())?;
    Ok(())
}

async fn named(executor: &Executor, name: &str) -> Vec<ProgramInfo> {
    let filter = Filter::new().name(name).limit(1000);
    executor.list(filter).await.expect("read")
}

#[tokio::test]
async fn of_32_creators_one_creates() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let programs: [fn() -> DynProgram; 3] = [
        || note("x").named("p").unique("key").erase(),
        || note("x").named("p").unique("key").replace().erase(),
        || note("x").named("p").unique_for("key", HOUR).erase(),
    ];
    for program in programs {
        let one_by_one = (0..32).map(|_| {
            let executor = executor.clone();
            tokio::spawn(async move { vec![executor.create(program()).await] })
        });
        // Their batches come in at the same time too.
        let in_bulk = (0..8).map(|_| {
            let executor = executor.clone();
            tokio::spawn(async move {
                let programs = (0..4).map(|_| program());
                executor.create_many(programs).await.expect("stored")
            })
        });
        let mut created: Vec<Created> = Vec::new();
        for creation in one_by_one.chain(in_bulk).collect::<Vec<_>>() {
            let some = creation.await.expect("no panic");
            created.extend(some.into_iter().map(|one| one.expect("stored")));
        }
        assert_eq!(created.len(), 64);
        assert_eq!(created.iter().filter(|one| !one.existed).count(), 1);
        assert_eq!(named(&executor, "p").await.len(), 1);
        assert!(created.iter().all(|one| one.run_id == created[0].run_id));
        executor.delete_all(Filter::new()).await.expect("deleted");
    }
}

#[tokio::test]
async fn of_32_parents_one_starts_the_child() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let parents = (0..32).map(|_| StartChildren);
    let created = executor.create_many(parents).await.expect("stored");
    let workers = [Working::start(&executor), Working::start(&executor)];
    for parent in created {
        let run_id = parent.expect("stored").run_id;
        assert_eq!(
            ended(&executor, &run_id).await.state,
            ProgramState::Finished
        );
    }
    assert_eq!(named(&executor, "within").await.len(), 1);
    let last = named(&executor, "last").await;
    assert_eq!(last.len(), 1, "the others took its place");
    assert_eq!(last[0].state, ProgramState::Scheduled);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn only_the_last_of_many_changes_runs() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let changed = async |text: &str, delay| {
        let program = note(text).run_after(delay).unique("doc:7").replace();
        executor.create(program).await.expect("stored")
    };
    let first = changed("1", HOUR).await;
    for text in ["2", "3"] {
        let next = changed(text, HOUR).await;
        assert!(next.replaced, "{next:?}");
        assert_eq!(next.run_id, first.run_id);
    }
    // A worker that waits for the hour to pass hears that it is due now.
    let working = Working::start(&executor);
    assert!(changed("4", Duration::ZERO).await.replaced);
    let program = ended(&executor, &first.run_id).await;
    assert_eq!(program.output(), Some(&"4".into()));
    assert!(!changed("5", HOUR).await.existed);
    working.stop().await;
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let long = "k".repeat(256);
    for (program, problem) in [
        (note("x").replace(), "add `.unique(key)`"),
        (note("x").unique("k").unique_for("k", HOUR), "not by both"),
        (
            note("x").unique_for("k", Duration::ZERO),
            "at least a millisecond",
        ),
        (note("x").unique_for("", HOUR), "is empty"),
        (note("x").unique_for(long, HOUR), "longer than 255 bytes"),
        (note("x").unique_for("a\0", HOUR), "U+0000"),
    ] {
        let error = executor.create(program).await.expect_err(problem);
        assert_eq!(error.kind(), ErrorKind::InvalidProgram);
        assert!(error.to_string().contains(problem), "{error}");
    }
    assert!(executor.list(Filter::new()).await.expect("read").is_empty());
}
