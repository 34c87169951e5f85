//! Whatever a program is made of, or does: it ends alone, and its worker and neighbours go on (G7).

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use executor::{
    DynProgram, ErrorKind, Executor, ProgramData, ProgramInfo, ProgramState, RunId, prelude::*,
};
use executor_tests::{Fresh, Working, ended, until};

#[job]
async fn good() -> Result<String, JobError> {
    Ok("good".to_owned())
}

/// Reads all that a row can hold for it.
#[job]
async fn reader(data: ProgramData<u32>, field: u32, page: Saved<u32>) -> Result<u32, JobError> {
    Ok(*data + field + *page)
}

#[job(retry(max = 1, backoff = "1ms"))]
async fn failing(retry: bool) -> Result<(), JobError> {
    Err(if retry {
        JobError::retry("it fails")
    } else {
        JobError::fatal("it fails")
    })
}

/// A worker, and good programs around what is poisonous.
struct Stage {
    fresh: Fresh,
    executor: Executor,
    working: Option<Working>,
}

impl Stage {
    async fn set() -> Self {
        let fresh = Fresh::new();
        let executor = fresh.builder().connect().await.expect("connected");
        Self {
            fresh,
            executor,
            working: None,
        }
    }

    async fn create(&self, program: impl IntoProgram) -> RunId {
        self.executor.create(program).await.expect("created").run_id
    }

    /// Runs a program to its end, between two good ones.
    async fn run(&mut self, program: impl IntoProgram) -> ProgramInfo {
        let before = self.create(Good).await;
        let run_id = self.create(program).await;
        let after = self.create(Good).await;
        let program = self.ended(&run_id).await;
        self.all_good(&[before, after]).await;
        let later = self.create(Good).await;
        self.all_good(&[later]).await;
        program
    }

    async fn ended(&mut self, run_id: &RunId) -> ProgramInfo {
        self.working
            .get_or_insert_with(|| Working::start(&self.executor));
        ended(&self.executor, run_id).await
    }

    async fn all_good(&mut self, run_ids: &[RunId]) {
        for run_id in run_ids {
            let program = self.ended(run_id).await;
            assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        }
    }

    async fn stop(self) {
        if let Some(working) = self.working {
            working.stop().await;
        }
    }
}

fn assert_errored(program: &ProgramInfo, message: &str) {
    assert_eq!(program.state, ProgramState::Errored, "{program:?}");
    let text = program.error_message.as_deref().unwrap_or_default();
    assert!(text.contains(message), "{message:?} is not in {text:?}");
    assert_eq!(program.lease_until, None, "{program:?}");
}

#[tokio::test]
async fn a_row_that_somebody_has_spoilt_ends_alone() {
    // What is set by hand, and how the program ends then: with its sum, or with an error.
    const SPOILT: [(&str, Result<u32, &str>); 20] = [
        ("jobs = 'nonsense'", Err("its list of jobs can't be read: ")),
        ("jobs = '{}'", Err("its list of jobs can't be read: ")),
        ("jobs = '[]'", Err("its step is 0, and it has 0 jobs")),
        (
            "jobs = '[\"reder\"]'",
            Err("no job is named \"reder\" in this worker"),
        ),
        (
            "jobs = '[1]'",
            Err("its list of jobs can't be read: at [0]: "),
        ),
        ("step = 99", Err("its step is 99, and it has 1 jobs")),
        ("step = NULL", Ok(12)),
        ("step_retry_count = NULL", Ok(12)),
        ("program_data = 'nonsense'", Err("program data: ")),
        (
            "program_data = '\"seven\"'",
            Err("program data: invalid type: string \"seven\""),
        ),
        ("program_data = NULL", Err("program data: ")),
        ("job_data = 'nonsense'", Err("its job data can't be read: ")),
        ("job_data = '[]'", Err("its job data can't be read: ")),
        (
            "job_data = '{\"reader\": 7}'",
            Err("job data of \"reader\": "),
        ),
        (
            "job_data = '{\"reader\": {\"field\": \"x\"}}'",
            Err("job data of \"reader\": at field: "),
        ),
        ("job_data = NULL", Err("job data of \"reader\": ")),
        ("job_data = x'ff00fe'", Err("its job data can't be read: ")),
        ("outputs = 'nonsense'", Err("its outputs can't be read: ")),
        ("attributes = 'nonsense'", Ok(12)),
        ("errors = 'nonsense'", Ok(12)),
    ];
    let mut stage = Stage::set().await;
    let program = || Program::new(7).then(Reader { field: 5, page: 0 });
    let mut spoilt = Vec::new();
    let mut good = Vec::new();
    for (change, end) in SPOILT {
        good.push(stage.create(program()).await);
        let run_id = stage.create(program()).await;
        stage.fresh.sql(&format!(
            "UPDATE programs SET {change} WHERE run_id = '{run_id}'"
        ));
        spoilt.push((run_id, change, end));
    }
    stage.all_good(&good).await;
    for (run_id, change, end) in spoilt {
        let program = stage.ended(&run_id).await;
        match end {
            Ok(sum) => {
                assert_eq!(
                    program.state,
                    ProgramState::Finished,
                    "{change}: {program:?}"
                );
                assert_eq!(program.outputs["reader"], sum, "{change}");
            }
            Err(message) => assert_errored(&program, message),
        }
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_row_without_a_run_id_holds_nobody_up() {
    let mut stage = Stage::set().await;
    stage.create(Good.priority(-1)).await;
    stage
        .create(Good.run_at(std::time::UNIX_EPOCH).priority(-1))
        .await;
    assert_eq!(stage.fresh.sql("UPDATE programs SET run_id = NULL"), 2);
    stage
        .fresh
        .sql("UPDATE programs SET ready = 0 WHERE id = 2");
    let run_id = stage.create(Good).await;
    stage.all_good(&[run_id]).await;
    let unfinished = async || {
        let count = stage
            .fresh
            .value("COUNT(*)", "programs WHERE finished_at IS NULL");
        count.as_deref() == Some("0")
    };
    until("they have run, too", unfinished).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_spoilt_history_of_errors_is_begun_anew() {
    let mut stage = Stage::set().await;
    for (column, retry) in [("'nonsense'", true), ("'{}'", false), ("x'ff'", true)] {
        let run_id = stage.create(Failing { retry }).await;
        let spoil = format!("UPDATE programs SET errors = {column} WHERE run_id = '{run_id}'");
        assert_eq!(stage.fresh.sql(&spoil), 1);
        let program = stage.ended(&run_id).await;
        assert_errored(&program, "it fails");
        assert_eq!(program.errors.len(), 1 + usize::from(retry), "{column}");
        let run_id = stage.create(Good).await;
        stage.all_good(&[run_id]).await;
    }
    stage.stop().await;
}

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

#[tokio::test]
async fn a_step_that_the_database_refuses_ends_alone() {
    #[job]
    async fn sized(bytes: usize) -> Result<String, JobError> {
        Ok("x".repeat(bytes))
    }
    let mut stage = Stage::set().await;
    stage
        .fresh
        .sql("ALTER TABLE programs ADD COLUMN mine INTEGER CHECK (length(outputs) < 1000)");
    let mut small = Vec::new();
    let mut large = Vec::new();
    for _ in 0..20 {
        small.push(stage.create(Sized { bytes: 10 }).await);
        large.push(stage.create(Sized { bytes: 2000 }).await);
    }
    stage.all_good(&small).await;
    for run_id in large {
        let program = stage.ended(&run_id).await;
        assert_errored(&program, "could not be stored: ");
        assert_errored(&program, "CHECK constraint failed");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_store_that_refuses_all_writes_for_a_while_loses_nothing() {
    let mut stage = Stage::set().await;
    let first = stage.create(Good).await;
    stage.all_good(&[first]).await;
    stage.fresh.sql(
        "CREATE TRIGGER closed BEFORE UPDATE ON programs BEGIN SELECT RAISE(ABORT, 'closed'); END",
    );
    let waits = stage.create(Good).await;
    let closed = Instant::now();
    // Several claims are refused meanwhile.
    until("a second is over", async || {
        closed.elapsed() > Duration::from_secs(1)
    })
    .await;
    let state = stage
        .executor
        .get(&waits)
        .await
        .expect("read")
        .expect("there")
        .state;
    assert_eq!(state, ProgramState::Available);
    stage.fresh.sql("DROP TRIGGER closed");
    stage.all_good(&[waits]).await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_locked_for_longer_than_a_lease_loses_and_repeats_nothing() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    static GATE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(0);
    #[job]
    async fn patient() -> Result<(), JobError> {
        STARTED.fetch_add(1, Ordering::SeqCst);
        GATE.acquire().await?.forget();
        Ok(())
    }
    let fresh = Fresh::new();
    let builder = fresh.builder().lease(Duration::from_secs(1));
    let executor = builder.connect().await.expect("connected");
    let mut stage = Stage {
        fresh,
        executor,
        working: None,
    };
    let mut run_ids = Vec::new();
    for _ in 0..10 {
        run_ids.push(
            stage
                .create(Program::new(()).then(Patient).then(Good))
                .await,
        );
    }
    stage.working = Some(Working::start(&stage.executor));
    until("all run", async || STARTED.load(Ordering::SeqCst) == 10).await;
    let mut conn = stage.fresh.connection();
    conn.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    let locked = Instant::now();
    // Half of them end under the lock.
    GATE.add_permits(5);
    until("three leases are over", async || {
        locked.elapsed() > Duration::from_secs(3)
    })
    .await;
    conn.batch_execute("ROLLBACK").expect("unlocked");
    GATE.add_permits(5);
    stage.all_good(&run_ids).await;
    assert_eq!(STARTED.load(Ordering::SeqCst), 10, "a body ran again");
    stage.stop().await;
}
