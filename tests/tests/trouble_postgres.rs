//! Connections and servers in trouble: nothing is lost, and nothing runs twice.

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;
#[path = "../trouble.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod trouble;

use std::{
    collections::HashMap,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use executor::{ErrorKind, Executor, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Proxy, Settings, Store, Working, until};
use jobs::{Gate, Slow};
use trouble::{Count, Hold, Log, Site, Tally, all_finish, client, create, get};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

/// The starts of bodies, by program and step.
fn starts(fresh: &Fresh) -> HashMap<(RunId, usize), usize> {
    let mut starts = HashMap::new();
    for entry in fresh.ledger().of("start") {
        *starts.entry((entry.run_id, entry.step)).or_default() += 1;
    }
    starts
}

#[tokio::test]
async fn a_server_that_crashes_is_waited_for_and_told_of_once() {
    let Some(mut site) = Site::start(Settings::default()).await else {
        return;
    };
    let executor = site.fresh.builder().connect().await.expect("connected");
    let ledger = site.fresh.ledger();
    let log = Log::of(&site.fresh, "log");
    let worker = site.fresh.worker(WORKER).lease(Duration::from_secs(20));
    let worker = worker.log(log.file()).start();
    let mut run_ids = Vec::new();
    for number in 0..20 {
        let slow = |millis| Slow { millis };
        let program = Program::new(()).then(slow(300 + 50 * number));
        let program = program.then_again(slow(10)).then_again(slow(20));
        run_ids.push(program.create(&executor).await.expect("created"));
    }
    until("all run", async || ledger.count("start") >= 20).await;
    site.server.stop();
    let before = ledger.count("end");
    until("jobs go on meanwhile", async || {
        ledger.count("end") > before + 5
    })
    .await;
    until("it is told", async || !log.lines(" WARN ").is_empty()).await;
    site.server.start_again().await;
    all_finish(&executor, &run_ids, 3).await;
    // Its heart and its ear come back by themselves.
    until("it is over", async || {
        !log.lines("the store can be used again").is_empty()
    })
    .await;
    let starts = starts(&site.fresh);
    assert_eq!(starts.len(), 60);
    assert!(starts.values().all(|times| *times == 1), "{starts:?}");
    worker.stop().await;
    assert_eq!(log.lines(" WARN ").len(), 1, "{}", log.text());
    let over = log.lines("the store can be used again");
    assert_eq!(over.len(), 1, "{}", log.text());
}

#[tokio::test]
async fn after_an_outage_longer_than_a_lease_workers_renew_their_own_leases_first() {
    let Some(mut site) = Site::start(Settings::default()).await else {
        return;
    };
    let executor = site.fresh.builder().connect().await.expect("connected");
    let ledger = site.fresh.ledger();
    let lease = Duration::from_secs(1);
    let worker = || {
        let worker = site.fresh.worker(WORKER).lease(lease);
        worker.set("EXECUTOR_SLOTS", 5).start()
    };
    let workers = [worker(), worker()];
    let file = site.fresh.folder().join("gate");
    let mut run_ids = Vec::new();
    for _ in 0..10 {
        let file = file.display().to_string();
        let gate = Gate { file, page: 0 };
        run_ids.push(gate.create(&executor).await.expect("created"));
    }
    until("all run", async || ledger.count("saved") == 10).await;
    let pids: std::collections::HashSet<_> =
        ledger.of("saved").into_iter().map(|it| it.pid).collect();
    assert_eq!(pids.len(), 2, "one worker has them all");
    site.server.stop();
    let stopped = Instant::now();
    until("three leases are over", async || {
        stopped.elapsed() > 3 * lease
    })
    .await;
    site.server.start_again().await;
    let back = Instant::now();
    let running = async || {
        let mut running = 0;
        for run_id in &run_ids {
            let program = get(&executor, run_id).await;
            assert_eq!(program.crashes, 0, "{program:?}");
            running += usize::from(program.state == ProgramState::Running);
        }
        running
    };
    until("two leases later", async || back.elapsed() > 2 * lease).await;
    assert_eq!(running().await, 10);
    assert_eq!(ledger.count("start"), 10, "a body ran twice");
    std::fs::write(&file, "").expect("an open gate");
    all_finish(&executor, &run_ids, 1).await;
    assert_eq!((ledger.count("start"), ledger.count("refused")), (10, 0));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_worker_waits_for_a_server_that_is_not_up_yet_and_commands_do_not() {
    let settings = Settings::default().without_fsync();
    let Some(mut site) = Site::start(settings).await else {
        return;
    };
    site.server.stop();
    let url = site.server.url().replace("postgres@", "postgres:s3cret@");
    let log = Log::of(&site.fresh, "log");
    let worker = site.fresh.worker(WORKER).set("DATABASE_URL", &url);
    let mut worker = worker.log(log.file()).start();
    let waits = async || log.lines("waiting for the store").len() == 1;
    until("it is told", waits).await;

    let began = Instant::now();
    let list = Command::new(env!("CARGO_BIN_EXE_test-app"))
        .arg("list")
        .env("DATABASE_URL", &url)
        .output()
        .expect("it runs");
    assert_eq!(list.status.code(), Some(1));
    let said = String::from_utf8(list.stderr).expect("text");
    assert!(said.contains("can't be reached"), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "it took too long");

    assert!(!worker.has_ended());
    site.server.start_again().await;
    let executor = site.fresh.builder().connect().await.expect("connected");
    let run_id = Slow { millis: 1 }.create(&executor).await.expect("created");
    all_finish(&executor, &[run_id], 1).await;
    worker.stop().await;
    assert_eq!(log.lines("waiting for the store").len(), 1);
    assert_eq!(log.lines("the store is there").len(), 1, "{}", log.text());
    assert!(!log.text().contains("s3cret"), "{}", log.text());
}

#[tokio::test]
async fn a_worker_whose_server_is_away_ends_when_it_is_told_to() {
    let settings = Settings::default().without_fsync();
    let Some(mut site) = Site::start(settings).await else {
        return;
    };
    let log = Log::of(&site.fresh, "log");
    let executor = site.fresh.builder().connect().await.expect("connected");
    let worker = site.fresh.worker(WORKER).log(log.file()).start();
    let there = async || executor.workers().await.expect("workers").len() == 1;
    until("it works", there).await;
    site.server.stop();
    let began = Instant::now();
    worker.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "it took too long");
}

/// A worker in this process, behind a proxy.
struct Behind {
    fresh: Fresh,
    proxy: Proxy,
    tally: Arc<Tally>,
    /// Past the proxy.
    executor: Executor,
    /// Through it.
    through: Executor,
    working: Working,
}

impl Behind {
    async fn start(lease: Duration) -> Option<Self> {
        let fresh = Fresh::only_on(Store::Postgres)?;
        let proxy = Proxy::to_url(&fresh.url()).await;
        let tally = Tally::new();
        let executor = fresh.builder().state(Arc::clone(&tally));
        let executor = executor.connect().await.expect("connected");
        let through = fresh.builder().state(Arc::clone(&tally)).lease(lease);
        let through = through.database_url(proxy.url()).connect().await;
        let through = through.expect("connected");
        let working = Working::start(&through);
        let warm = create(&executor, 20, 2).await;
        all_finish(&executor, &warm, 2).await;
        Some(Self {
            fresh,
            proxy,
            tally,
            executor,
            through,
            working,
        })
    }

    /// Makes what this trigger is for take a while, as a slow disk would.
    fn linger(&self, trigger: &str) {
        self.fresh.sql(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$",
        );
        self.fresh.sql(&format!(
            "CREATE {trigger} FOR EACH ROW EXECUTE FUNCTION linger()"
        ));
    }

    /// How often a program was claimed.
    fn claims(&self, run_id: &RunId) -> u32 {
        let from = format!("programs WHERE run_id = '{run_id}'");
        let token = self.fresh.value("token", &from).expect("a number");
        token.parse().expect("a number")
    }

    /// Waits until somebody lingers; then the answer is held back, and lost when it has been given.
    async fn lose_the_answer(&mut self, applied: impl AsyncFn() -> bool) {
        let watcher = client(&self.fresh.url()).await;
        until("it is being written", async || {
            let lingers = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event = 'PgSleep'";
            let row = watcher.query_one(lingers, &[]).await.expect("a row");
            row.get::<_, i64>(0) > 0
        })
        .await;
        self.proxy.stall_answers();
        assert!(!applied().await, "it was written before the answer stalled");
        until("it is written", applied).await;
        self.proxy.cut().await;
        self.proxy.resume().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_all_the_time_lose_and_repeat_nothing() {
    let Some(behind) = Behind::start(Duration::from_secs(2)).await else {
        return;
    };
    let run_ids = create(&behind.executor, 300, 5).await;
    let before = behind.tally.steps();
    let began = Instant::now();
    let mut cuts = 0;
    while began.elapsed() < Duration::from_secs(3) {
        let seen = behind.proxy.requests();
        until("something goes through", async || {
            behind.proxy.requests() > seen + 2000
        })
        .await;
        behind.proxy.cut().await;
        cuts += 1;
    }
    let meanwhile = behind.tally.steps() - before;
    all_finish(&behind.executor, &run_ids, 5).await;
    assert_eq!(behind.tally.repeated(), []);
    assert_eq!(behind.tally.steps() - before, 300 * 5);
    assert!(cuts > 10, "only {cuts} cuts");
    assert!(meanwhile > 0, "nothing ran between {cuts} cuts");
    behind.working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_that_are_terminated_lose_and_repeat_nothing() {
    let Some(behind) = Behind::start(Duration::from_secs(2)).await else {
        return;
    };
    let run_ids = create(&behind.executor, 300, 5).await;
    let killer = client(&behind.fresh.url()).await;
    let began = Instant::now();
    let mut killed = 0;
    while began.elapsed() < Duration::from_secs(2) {
        let seen = behind.proxy.requests();
        until("something goes through", async || {
            behind.proxy.requests() > seen + 4000
        })
        .await;
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        killed += killer
            .query_one(kill, &[])
            .await
            .expect("a row")
            .get::<_, i64>(0);
    }
    let executor = behind.fresh.builder().state(Arc::clone(&behind.tally));
    let executor = executor.connect().await.expect("connected");
    all_finish(&executor, &run_ids, 5).await;
    assert_eq!(behind.tally.repeated(), []);
    assert!(killed > 20, "only {killed} were there to be killed");
    behind.working.stop().await;
}

#[tokio::test]
async fn a_step_whose_answer_is_lost_is_recorded_once() {
    let Some(mut behind) = Behind::start(Duration::from_secs(3)).await else {
        return;
    };
    behind.linger("TRIGGER lingers BEFORE UPDATE OF step ON programs");
    let program = Program::new(()).then(Hold).then(Count).then_again(Count);
    let run_id = program.create(&behind.executor).await.expect("created");
    let tally = Arc::clone(&behind.tally);
    until("it runs", async || tally.of(&run_id, 0) == 1).await;
    behind.tally.gate.add_permits(1);
    let (executor, id) = (behind.executor.clone(), run_id.clone());
    let applied = async || get(&executor, &id).await.step == 1;
    behind.lose_the_answer(applied).await;
    all_finish(&behind.executor, std::slice::from_ref(&run_id), 3).await;
    for step in 0..3 {
        assert_eq!(behind.tally.of(&run_id, step), 1, "step {step}");
    }
    assert_eq!(behind.claims(&run_id), 1, "its claim was lost");
    behind.working.stop().await;
}

#[tokio::test]
async fn a_program_whose_creation_is_not_answered_is_created_once() {
    let Some(mut behind) = Behind::start(Duration::from_secs(3)).await else {
        return;
    };
    behind.linger("TRIGGER lingers BEFORE INSERT ON programs");
    let through = behind.through.clone();
    let create = tokio::spawn(async move { Count.create(&through).await });
    let executor = behind.executor.clone();
    let programs = async || {
        let filter = executor::Filter::new().limit(1000);
        executor.list(filter).await.expect("a list").len()
    };
    let before = programs().await;
    behind
        .lose_the_answer(async || programs().await > before)
        .await;
    let run_id = create.await.expect("no panic").expect("created");
    all_finish(&behind.executor, std::slice::from_ref(&run_id), 1).await;
    assert_eq!(programs().await, before + 1);
    assert_eq!(behind.tally.of(&run_id, 0), 1);
    behind.working.stop().await;
}

/// Notes in the database that it ran.
#[job]
async fn book(ctx: Context, mut tx: Tx<executor::Pg>) -> Result<(), JobError> {
    use diesel_async::RunQueryDsl;

    let insert = format!("INSERT INTO moves VALUES ('{}')", ctx.run_id());
    let conn = tx.conn().await?;
    diesel::sql_query(insert).execute(conn).await?;
    Ok(())
}

#[tokio::test]
async fn a_transaction_whose_commit_is_not_answered_is_done_once() {
    let Some(mut behind) = Behind::start(Duration::from_secs(3)).await else {
        return;
    };
    behind
        .fresh
        .sql("CREATE TABLE moves (run_id text NOT NULL)");
    behind.linger("CONSTRAINT TRIGGER lingers AFTER INSERT ON moves DEFERRABLE INITIALLY DEFERRED");
    let program = Program::new(()).then(Book).then(Count);
    let run_id = program.create(&behind.executor).await.expect("created");
    let watcher = client(&behind.fresh.url()).await;
    let moves = async || {
        let row = watcher.query_one("SELECT count(*) FROM moves", &[]).await;
        row.expect("a row").get::<_, i64>(0)
    };
    behind.lose_the_answer(async || moves().await == 1).await;
    all_finish(&behind.executor, std::slice::from_ref(&run_id), 2).await;
    assert_eq!(moves().await, 1);
    assert_eq!(behind.tally.of(&run_id, 1), 1);
    assert_eq!(behind.claims(&run_id), 1, "its claim was lost");
    behind.working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_are_given_up_for_new_ones() {
    let Some(behind) = Behind::start(Duration::from_millis(1500)).await else {
        return;
    };
    let held = Program::new(()).then(Hold).then(Count);
    let held = held.create(&behind.executor).await.expect("created");
    until("it runs", async || behind.tally.of(&held, 0) == 1).await;
    // The more connections there are, the more are dead.
    let stats = || behind.through.stats();
    let all = tokio::join!(stats(), stats(), stats(), stats(), stats(), stats());
    assert!(all.0.is_ok() && all.5.is_ok());
    behind.proxy.silence();
    let silent = Instant::now();
    let through = create(&behind.through, 3, 1).await;
    let created = silent.elapsed();
    let run_ids = create(&behind.executor, 20, 3).await;
    all_finish(&behind.executor, &run_ids, 3).await;
    let took = silent.elapsed();
    // The slow poll, a claim's deadline, and that of a commit.
    assert!(took < Duration::from_secs(8), "it took {took:?}");
    all_finish(&behind.executor, &through, 1).await;
    until("more than a lease is over", async || {
        silent.elapsed() > Duration::from_secs(4)
    })
    .await;
    behind.tally.gate.add_permits(1);
    all_finish(&behind.executor, std::slice::from_ref(&held), 2).await;
    assert_eq!(behind.tally.repeated(), []);
    assert!(created < Duration::from_secs(4), "it took {created:?}");
    behind.working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deaf_listener_is_found_out_and_programs_start_meanwhile() {
    let Some(fresh) = Fresh::only_on(Store::Postgres) else {
        return;
    };
    let proxy = Proxy::to_url(&fresh.url()).await;
    let tally = Tally::new();
    // Of another store object, like another process: it is heard by messages only.
    let executor = fresh.builder().state(Arc::clone(&tally));
    let executor = executor.connect().await.expect("connected");
    let worker = fresh.builder().state(Arc::clone(&tally));
    let worker = worker.listen_url(proxy.url()).connect().await;
    let working = Working::start(&worker.expect("connected"));
    let start = async || {
        let run_id = Count.create(&executor).await.expect("created");
        let created = Instant::now();
        until("it runs", async || tally.of(&run_id, 0) == 1).await;
        created.elapsed()
    };
    // Two in a row within this time: the clock rings less often.
    let hears = async || {
        start().await < Duration::from_millis(100) && start().await < Duration::from_millis(100)
    };
    until("it hears", hears).await;
    proxy.silence();
    let silent = Instant::now();
    let first = start().await;
    assert!(first < Duration::from_millis(5500), "it took {first:?}");
    until("it hears again", hears).await;
    let deaf = silent.elapsed();
    // The next probe, its patience, and a new connection.
    assert!(deaf < Duration::from_secs(9), "it was deaf for {deaf:?}");
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_holds_locked_holds_up_nobody_else() {
    let lease = Duration::from_secs(1);
    let Some(behind) = Behind::start(lease).await else {
        return;
    };
    let program = || Program::new(()).then(Hold).then(Count);
    let locked = program().create(&behind.executor).await.expect("created");
    let stopped = program().create(&behind.executor).await.expect("created");
    for run_id in [&locked, &stopped] {
        until("it runs", async || behind.tally.of(run_id, 0) == 1).await;
    }
    let somebody = client(&behind.fresh.url()).await;
    let update = format!(
        "BEGIN; UPDATE programs SET errored_at = now(), error_message = 'by hand'
           WHERE run_id IN ('{locked}', '{stopped}')"
    );
    somebody.batch_execute(&update).await.expect("locked");
    let began = Instant::now();
    let run_ids = create(&behind.executor, 100, 2).await;
    all_finish(&behind.executor, &run_ids, 2).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "they were held up"
    );
    // One of the two ends under the lock, as the first in the queue.
    behind.tally.gate.add_permits(1);
    until("two leases are over", async || began.elapsed() > 2 * lease).await;
    let run_ids = create(&behind.executor, 100, 2).await;
    all_finish(&behind.executor, &run_ids, 2).await;
    assert_eq!(get(&behind.executor, &locked).await.step, 0);
    somebody.batch_execute("ROLLBACK").await.expect("unlocked");
    // The other one's lease is extended again.
    let leases = async || {
        let first = get(&behind.executor, &locked).await.state;
        let second = get(&behind.executor, &stopped).await.state;
        let states = (first, second);
        states == (ProgramState::Finished, ProgramState::Running)
            || states == (ProgramState::Running, ProgramState::Finished)
    };
    until("one has finished and one runs", leases).await;
    let ends = get(&behind.executor, &locked).await.state.is_terminal();
    let (first, second) = if ends {
        (locked, stopped)
    } else {
        (stopped, locked)
    };
    all_finish(&behind.executor, std::slice::from_ref(&first), 2).await;

    // And now it is stopped by hand, and the body with it.
    let update = format!(
        "UPDATE programs SET errored_at = now(), error_message = 'by hand' WHERE run_id = '{second}'"
    );
    let lock = format!("BEGIN; {update}");
    somebody.batch_execute(&lock).await.expect("locked");
    let locked = Instant::now();
    until("a beat has met the lock", async || locked.elapsed() > lease).await;
    somebody.batch_execute("COMMIT").await.expect("stopped");
    until("its body has gone", async || {
        let program = get(&behind.executor, &second).await;
        program.lease_until.is_none()
    })
    .await;
    let program = get(&behind.executor, &second).await;
    assert_eq!(program.state, ProgramState::Errored, "{program:?}");
    assert_eq!(program.error_message.as_deref(), Some("by hand"));
    assert_eq!(program.step, 0, "{program:?}");
    assert_eq!(behind.tally.repeated(), []);
    behind.working.stop().await;
}

#[tokio::test]
async fn what_only_the_database_refuses_ends_its_program_alone() {
    use serde_json::value::RawValue;

    /// A number that is JSON, and too large for `jsonb`.
    fn number(exponent: u32) -> Box<RawValue> {
        RawValue::from_string(format!("1e{exponent}")).expect("JSON")
    }
    #[job]
    async fn large(
        exponent: u32,
        saved: bool,
        mut kept: Saved<Option<Box<RawValue>>>,
    ) -> Result<Box<RawValue>, JobError> {
        if saved {
            kept.set(Some(number(exponent))).await?;
        }
        Ok(number(exponent))
    }
    let Some(behind) = Behind::start(Duration::from_secs(5)).await else {
        return;
    };
    let run = async |exponent, saved| {
        let large = Large {
            exponent,
            saved,
            kept: None,
        };
        large.create(&behind.executor).await.expect("created")
    };
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for number in 0..30 {
        good.push(run(10, number % 2 == 0).await);
        if number % 3 == 0 {
            bad.push(run(999_999, number % 2 == 0).await);
        }
    }
    all_finish(&behind.executor, &good, 1).await;
    for run_id in &bad {
        let program = executor_tests::ended(&behind.executor, run_id).await;
        assert_eq!(program.state, ProgramState::Errored, "{program:?}");
        let message = program.error_message.expect("a message");
        assert!(message.contains("could not be stored: "), "{message}");
    }
    // And at once where it is created.
    let program = executor::DynProgram::new(number(999_999)).then(Count);
    let refused = program.create(&behind.executor).await.map(drop);
    let refused = refused.expect_err("too large");
    assert_eq!(refused.kind(), ErrorKind::InvalidData);
    behind.working.stop().await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_said_to_be_one() {
    let Some(fresh) = Fresh::only_on(Store::Postgres) else {
        return;
    };
    let database = fresh.value("current_database()", "(SELECT 1) AS one");
    let set = |value| {
        let database = database.as_deref().expect("a name");
        fresh.sql(&format!(
            "ALTER DATABASE {database} SET default_transaction_read_only = {value}"
        ));
    };
    let advice = |error: &executor::Error| {
        let text = error.to_string();
        assert!(text.contains("connect to the primary"), "{text}");
        assert!(text.contains("read-only transaction"), "{text}");
    };
    set("on");
    let refused = fresh.builder().connect().await.map(drop);
    advice(&refused.expect_err("there are no tables"));
    // The last one who may write.
    let url = format!(
        "{}?options=-cdefault_transaction_read_only%3Doff",
        fresh.url()
    );
    let writer = fresh.builder().database_url(&url);
    writer.connect().await.expect("it makes the tables");
    let executor = fresh.builder().state(Tally::new()).connect().await;
    let executor = executor.expect("with the tables it can look");
    let refused = Count.create(&executor).await.map(drop);
    advice(&refused.expect_err("it can't be written"));
    let worked = executor.work_until(std::future::pending()).await;
    advice(&worked.expect_err("a worker can do nothing there"));
}

#[tokio::test]
async fn a_worker_warns_of_a_server_that_may_forget_commits() {
    let settings = Settings::default().set("synchronous_commit", "off");
    let Some(site) = Site::start(settings).await else {
        return;
    };
    let log = Log::of(&site.fresh, "log");
    let worker = site.fresh.worker(WORKER).log(log.file()).start();
    until("it works", async || !log.lines("working").is_empty()).await;
    worker.stop().await;
    let warnings = log.lines(" WARN ");
    assert_eq!(warnings.len(), 1, "{}", log.text());
    assert!(
        warnings[0].contains("synchronous_commit = off"),
        "{warnings:?}"
    );
}
