//! Whatever a program's jobs do: it ends alone, and its worker and neighbours go on (G7).

#[path = "../neighbours.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod neighbours;

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicUsize, Ordering},
};

use executor::{DynProgram, ErrorKind, ProgramState, prelude::*};
use executor_tests::Fresh;
use neighbours::{Failing, Good, Stage, assert_errored};

#[tokio::test]
async fn an_output_that_is_no_json_ends_its_program() {
    #[job]
    async fn pairs() -> Result<BTreeMap<(u8, u8), u8>, JobError> {
        Ok(BTreeMap::from([((1, 2), 3)]))
    }
    let mut stage = Stage::set().await;
    let program = stage.run(Pairs).await;
    assert_errored(&program, "its output can't be stored: key must be a string");
    stage.stop().await;
}

#[tokio::test]
async fn saved_progress_that_is_no_json_ends_its_program() {
    #[job]
    async fn wandering(mut place: Saved<HashMap<String, u8>>) -> Result<(), JobError> {
        place
            .update(|place| place.extend([("a\0b".to_owned(), 1)]))
            .await?;
        Ok(())
    }
    let mut stage = Stage::set().await;
    let program = stage.run(Wandering::default()).await;
    assert_errored(
        &program,
        "field place: text with the character \\u0000 can't be stored",
    );
    stage.stop().await;
}

#[tokio::test]
async fn the_character_nul_is_refused_where_it_comes_in() {
    #[job]
    async fn echo(text: String, fail: bool) -> Result<String, JobError> {
        if fail {
            Err(format!("{}\0", text.replace('*', "\0")))?
        } else {
            Ok(text.replace('*', "\0"))
        }
    }
    let mut stage = Stage::set().await;
    let echo = |text: &str| Echo {
        text: text.to_owned(),
        fail: false,
    };
    let nul = "a\0b".to_owned();
    let refused = [
        stage.executor.create(echo(&nul)).await,
        stage.executor.create(Program::new(&nul).then(Good)).await,
        stage
            .executor
            .create(DynProgram::new(()).then_named("echo", &echo(&nul)))
            .await,
        stage
            .executor
            .create(Good.attributes(HashMap::from([(&nul, 1)])))
            .await,
    ];
    for refused in refused {
        let error = refused.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains("\\u0000"), "{error}");
    }
    for refused in [
        Good.queue(&nul).into_program(),
        Good.unique(&nul).into_program(),
    ] {
        let error = stage.executor.create(refused).await.expect_err("refused");
        assert!(error.to_string().contains("U+0000"), "{error}");
    }
    assert_eq!(
        stage.fresh.value("COUNT(*)", "programs").as_deref(),
        Some("0")
    );
    let program = stage.run(echo("a*b")).await;
    assert_errored(
        &program,
        "its output can't be stored: text with the character \\u0000",
    );
    let program = stage
        .run(Echo {
            fail: true,
            ..echo("a*b")
        })
        .await;
    assert_errored(&program, "a\u{fffd}b\u{fffd}");
    stage.stop().await;
}

#[tokio::test]
async fn a_huge_error_is_cut() {
    #[job]
    async fn verbose() -> Result<(), JobError> {
        Err("é".repeat(5 << 19))?
    }
    let mut stage = Stage::set().await;
    let program = stage.run(Verbose).await;
    assert_errored(&program, "éé");
    let message = program.error_message.expect("a message");
    assert!(message.len() < 20 << 10, "{} bytes", message.len());
    assert!(message.ends_with("é … (cut)"));
    assert!(program.errors[0].error.len() <= 2048);
    stage.stop().await;
}

#[tokio::test]
async fn a_huge_output_is_kept_whole() {
    #[job]
    async fn large() -> Result<String, JobError> {
        Ok("é".repeat(1 << 19))
    }
    #[job]
    async fn measure(large: Output<Large>) -> Result<usize, JobError> {
        Ok(large.len())
    }
    let mut stage = Stage::set().await;
    let program = stage.run(Program::new(()).then(Large).then(Measure)).await;
    assert_eq!(
        program.output(),
        Some(&(1 << 20).into()),
        "{:?}",
        program.error_message
    );
    stage.stop().await;
}

#[tokio::test]
async fn ten_thousand_jobs_in_a_program_run_one_after_the_other() {
    const FIRST: usize = 9_800;
    static RUN: AtomicUsize = AtomicUsize::new(FIRST);
    #[job(name = "n")]
    async fn nth(ctx: Context) -> Result<(), JobError> {
        let run = RUN.fetch_add(1, Ordering::SeqCst);
        if run == ctx.step() {
            Ok(())
        } else {
            Err(format!("step {} as the {run}-th", ctx.step()))?
        }
    }
    let mut stage = Stage::set().await;
    let program = (0..10_000).fold(DynProgram::new(()), |program, _| program.then(Nth));
    let run_id = stage.create(program).await;
    // All of them take half a minute; the last ones are as far from the list's beginning.
    stage
        .fresh
        .sql(&format!("UPDATE programs SET step = {FIRST}"));
    let good = stage.create(Good).await;
    stage.all_good(&[good]).await;
    let program = stage.ended(&run_id).await;
    assert_eq!(program.error_message, None);
    assert_eq!(
        (program.state, program.step),
        (ProgramState::Finished, 10_000)
    );
    stage.stop().await;
}

struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("a destructor panicked");
    }
}

#[tokio::test]
async fn a_panicking_destructor_ends_its_program() {
    #[job(timeout = "50ms", retry(max = 0))]
    async fn explosive(stay: bool) -> Result<(), JobError> {
        let _grenade = Grenade;
        if stay {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
    let mut stage = Stage::set().await;
    let program = stage.run(Explosive { stay: false }).await;
    assert_errored(&program, "panicked: a destructor panicked (");
    // Here it is the engine that drops the body.
    let program = stage.run(Explosive { stay: true }).await;
    assert_errored(&program, "took longer than its timeout of 50ms");
    stage.stop().await;
}

/// An error that cannot be shown, or not be dropped.
#[derive(Debug)]
enum Nasty {
    Shown,
    Dropped(#[allow(dead_code, reason = "it is there to be dropped")] Grenade),
}

impl std::fmt::Debug for Grenade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Grenade")
    }
}

impl std::fmt::Display for Nasty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shown => panic!("an error's text panicked"),
            Self::Dropped(_) => f.write_str("it is nasty"),
        }
    }
}

impl std::error::Error for Nasty {}

#[tokio::test]
async fn an_error_that_panics_itself_ends_its_program() {
    #[job]
    async fn the_nasty(shown: bool, retry: bool) -> Result<(), JobError> {
        let error = if shown {
            Nasty::Shown
        } else {
            Nasty::Dropped(Grenade)
        };
        if retry {
            Err(error).or_retry()
        } else {
            Err(error)?
        }
    }
    let mut stage = Stage::set().await;
    for retry in [false, true] {
        let program = stage.run(TheNasty { shown: true, retry }).await;
        assert_errored(&program, "an error's text panicked (");
        let program = stage
            .run(TheNasty {
                shown: false,
                retry,
            })
            .await;
        assert_errored(&program, "a destructor panicked (");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_panicking_error_hook_ends_nobody() {
    let fresh = Fresh::new();
    let builder = fresh
        .builder()
        .on_program_error(|_| panic!("the hook panicked"));
    let executor = builder.connect().await.expect("connected");
    let mut stage = Stage {
        fresh,
        executor,
        working: None,
    };
    let program = stage.run(Failing { retry: false }).await;
    assert_errored(&program, "it fails");
    stage.stop().await;
}
