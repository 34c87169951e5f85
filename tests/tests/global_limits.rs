//! Limits of a job over all workers of a store: how many run at once, and how many start in a time.

#[path = "../board.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod board;
#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use board::{Board, Stage, marked};
use executor::{Executor, prelude::*};
use executor_tests::{Fresh, Working, ended, until};
use jobs::Narrow;

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

#[job(concurrency_global = 2)]
async fn few(board: State<Arc<Board>>) -> Result<(), JobError> {
    board.pass().await
}

#[job(concurrency_global = 1, limit_key = "customer")]
async fn one_a_customer(board: State<Arc<Board>>, customer: String) -> Result<(), JobError> {
    let _ = customer;
    board.pass().await
}

#[derive(Clone, Default)]
struct Starts(Arc<Mutex<Vec<(String, Instant)>>>);

impl Starts {
    fn note(&self, what: impl ToString) {
        let start = (what.to_string(), Instant::now());
        self.0.lock().expect("whole").push(start);
    }

    fn times(&self) -> Vec<Instant> {
        let starts = self.0.lock().expect("whole");
        starts.iter().map(|(_, time)| *time).collect()
    }
}

#[job(rate = "40/s", burst = 2)]
async fn paced(starts: State<Starts>) -> Result<(), JobError> {
    starts.note("");
    Ok(())
}

#[job(rate = "20/s", burst = 1, limit_key = "customer")]
async fn paced_a_customer(starts: State<Starts>, customer: u32) -> Result<(), JobError> {
    starts.note(customer);
    Ok(())
}

#[job(concurrency_global = 1)]
async fn quick(starts: State<Starts>) -> Result<(), JobError> {
    starts.note("");
    Ok(())
}

/// So many workers of one store, each with connections of its own.
async fn workers(fresh: &Fresh, number: usize, starts: &Starts) -> (Executor, Vec<Working>) {
    let mut executors = Vec::new();
    for _ in 0..number {
        let builder = fresh.builder().state(starts.clone());
        let builder = builder.state(Arc::<Board>::default());
        executors.push(builder.connect().await.expect("connected"));
    }
    let working = executors.iter().map(Working::start).collect();
    (executors.swap_remove(0), working)
}

async fn stop(working: Vec<Working>) {
    for worker in working {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_global_limit_holds_over_all_workers_and_takes_no_slots() {
    let stage = Stage::set(|builder| builder.slots(3).state(Starts::default())).await;
    let other = stage.fresh.builder().state(Arc::clone(&stage.board));
    let other = other
        .state(Starts::default())
        .slots(3)
        .connect()
        .await
        .expect("connected");
    let mut run_ids = Vec::new();
    for n in 0..9 {
        run_ids.push(match n % 3 {
            0 => {
                stage
                    .create(Program::new(()).then(marked(n)).then(Few))
                    .await
            }
            _ => stage.create(Few).await,
        });
    }
    let working = [Working::start(&stage.executor), Working::start(&other)];
    until("it is full", async || stage.board.inside() == 2).await;
    let free = [
        stage.create(marked("a")).await,
        stage.create(marked("b")).await,
    ];
    stage.all_finish(&free).await;
    assert_eq!(stage.board.inside(), 2);
    stage.board.gate.0.add_permits(run_ids.len());
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.board.most_inside(), 2);
    for worker in working {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_place_lasts_as_long_as_its_body() {
    let lease = Duration::from_millis(800);
    let set = |builder: executor::Builder| builder.lease(lease).state(Starts::default());
    let stage = Stage::set(set).await;
    let run_ids = [
        stage.create(Few).await,
        stage.create(Few).await,
        stage.create(Few).await,
    ];
    let working = Working::start(&stage.executor);
    until("it is full", async || stage.board.inside() == 2).await;
    // Several leases, in which the worker claims all the time.
    let begin = Instant::now();
    while begin.elapsed() < 3 * lease {
        let free = [stage.create(marked("free")).await];
        stage.all_finish(&free).await;
    }
    assert_eq!(stage.board.most_inside(), 2);
    stage.board.gate.0.add_permits(run_ids.len());
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.board.most_inside(), 2);
    working.stop().await;
}

#[tokio::test]
async fn a_place_that_is_given_back_is_taken_at_once() {
    let fresh = Fresh::new();
    let starts = Starts::default();
    let (executor, working) = workers(&fresh, 2, &starts).await;
    let begin = Instant::now();
    let created = executor.create_many((0..40).map(|_| Quick)).await;
    for created in created.expect("created") {
        let run_id = created.expect("created").run_id;
        ended(&executor, &run_id).await;
    }
    // Were each found by a poll only, it would take a second and more a program.
    assert!(begin.elapsed() < Duration::from_secs(20), "{begin:?}");
    stop(working).await;
}

#[tokio::test]
async fn each_key_has_a_limit_of_its_own() {
    let stage = Stage::set(|builder| builder.slots(4).state(Starts::default())).await;
    let of = |customer: &str| OneACustomer {
        customer: customer.to_owned(),
    };
    let many = stage.executor.create_many((0..150).map(|_| of("a"))).await;
    let many: Vec<_> = many
        .expect("created")
        .into_iter()
        .map(|created| created.expect("created").run_id)
        .collect();
    let working = Working::start(&stage.executor);
    until("the first one runs", async || stage.board.inside() == 1).await;
    // It came behind all of the other customer's.
    let other = stage.create(of("b")).await;
    until("both run", async || stage.board.inside() == 2).await;
    assert_eq!(stage.board.most_inside(), 2);
    let waiting = stage.get(&many[1]).await;
    assert_eq!(waiting.limited_by.as_deref(), Some(r#"one_a_customer:"a""#));
    // Those that wait can be cancelled, deleted and made due like others.
    stage.executor.cancel(&many[1]).await.expect("cancelled");
    stage.executor.delete(&many[2]).await.expect("deleted");
    let now = SystemTime::now();
    stage.executor.reschedule(&many[3], now).await.expect("due");
    stage.board.gate.0.add_permits(many.len());
    stage.all_finish(&[other]).await;
    stage.all_finish(&many[3..]).await;
    stage.all_finish(&many[..1]).await;
    assert_eq!(stage.board.most_inside(), 2);
    let retried = stage.executor.retry(&many[1]).await;
    assert!(retried.expect("retried"));
    stage.all_finish(&many[1..2]).await;
    working.stop().await;
}

/// How many of these times lie within each window of this length at most.
fn most_within(times: &[Instant], window: Duration) -> usize {
    let from = |start: &Instant| {
        let end = *start + window;
        times
            .iter()
            .filter(|time| **time >= *start && **time < end)
            .count()
    };
    times.iter().map(from).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_holds_over_all_workers() {
    const PROGRAMS: usize = 160;
    let fresh = Fresh::new();
    let starts = Starts::default();
    let (executor, working) = workers(&fresh, 3, &starts).await;
    let created = executor.create_many((0..PROGRAMS).map(|_| Paced)).await;
    assert!(created.expect("created").into_iter().all(|it| it.is_ok()));
    until("all have started", async || {
        starts.times().len() == PROGRAMS
    })
    .await;
    let mut times = starts.times();
    times.sort();
    let took = (times[PROGRAMS - 1] - times[0]).as_secs_f64();
    let due = (PROGRAMS - 2) as f64 / 40.0;
    assert!(took > due * 0.97, "too fast: {took} s for {due} s");
    assert!(took < due * 1.5, "too slow: {took} s for {due} s");
    // A second's worth, the burst, and those that were late in starting.
    let most = most_within(&times, Duration::from_secs(1));
    assert!(most <= 46, "{most} in a second");
    stop(working).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_key_has_a_rate_of_its_own() {
    const EACH: usize = 40;
    let fresh = Fresh::new();
    let starts = Starts::default();
    let (executor, working) = workers(&fresh, 2, &starts).await;
    let programs = (0..3 * EACH).map(|n| PacedACustomer {
        customer: u32::try_from(n / EACH).expect("small"),
    });
    let created = executor.create_many(programs).await;
    assert!(created.expect("created").into_iter().all(|it| it.is_ok()));
    until("all have started", async || {
        starts.times().len() == 3 * EACH
    })
    .await;
    // Out of one bucket they would all come 50 ms apart, but for what a busy machine delays.
    let mut all = starts.times();
    all.sort();
    let close = |pair: &&[Instant]| pair[1] - pair[0] < Duration::from_millis(40);
    let close = all.windows(2).filter(close).count();
    assert!(close > EACH, "only {close} started beside another");
    let mut by_customer: HashMap<String, Vec<Instant>> = HashMap::new();
    for (customer, time) in starts.0.lock().expect("whole").drain(..) {
        by_customer.entry(customer).or_default().push(time);
    }
    assert_eq!(by_customer.len(), 3);
    for times in by_customer.values_mut() {
        times.sort();
        let took = (times[EACH - 1] - times[0]).as_secs_f64();
        let due = (EACH - 1) as f64 / 20.0;
        assert!(took > due * 0.95, "too fast: {took} s for {due} s");
    }
    stop(working).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_never_let_one_more_in() {
    const PROGRAMS: usize = 60;
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let ledger = fresh.ledger();
    let worker = || {
        fresh
            .worker(WORKER)
            .set("EXECUTOR_MAX_CRASHES", 1000)
            .start()
    };
    let created = executor
        .create_many((0..PROGRAMS).map(|_| Narrow { millis: 60 }))
        .await;
    let mut run_ids = Vec::new();
    for created in created.expect("created") {
        run_ids.push(created.expect("created").run_id);
    }
    let mut workers: Vec<_> = (0..4).map(|_| worker()).collect();
    for kill in 1..=4 {
        let before = ledger.count("end");
        until("it goes on", async || ledger.count("end") >= before + 4).await;
        let killed = workers.remove(0);
        let pid = killed.pid();
        killed.kill();
        ledger.killed(pid, kill);
        workers.push(worker());
    }
    for run_id in &run_ids {
        let program = ended(&executor, run_id).await;
        assert_eq!(program.state, executor::ProgramState::Finished);
    }
    let mut inside: Vec<(u32, executor::RunId)> = Vec::new();
    for entry in ledger.entries() {
        match entry.what.as_str() {
            "start" => inside.push((entry.pid, entry.run_id)),
            "end" => inside.retain(|it| *it != (entry.pid, entry.run_id.clone())),
            "killed" => inside.retain(|(pid, _)| *pid != entry.pid),
            other => panic!("{other}"),
        }
        assert!(inside.len() <= 3, "{inside:?} at once");
    }
}
