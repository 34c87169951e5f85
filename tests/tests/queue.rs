//! Which program runs when, and where: order, limits, queues, keys, and workers that lack a job.

#[path = "../jobs.rs"]
#[allow(
    dead_code,
    reason = "not every test uses every job of the worker processes"
)]
mod jobs;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use executor::{
    Builder, DynProgram, Executor, Filter, ProgramInfo, ProgramState, RunId, prelude::*,
};
use executor_tests::{Fresh, Working, ended, until};
use jobs::Once;
use tokio::sync::Semaphore;

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

/// What the jobs of one test share.
#[derive(Default)]
struct Board {
    /// The names of the programs' jobs, as they ran.
    order: Mutex<Vec<String>>,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    gate: Gate,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Board {
    fn order(&self) -> Vec<String> {
        self.order.lock().expect("whole").clone()
    }

    fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    fn most_inside(&self) -> usize {
        self.most_inside.load(Ordering::SeqCst)
    }

    /// Stays inside until the gate lets it through.
    async fn pass(&self) -> Result<(), JobError> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        self.gate.0.acquire().await?.forget();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

#[job]
async fn mark(board: State<Arc<Board>>, mark: String) -> Result<(), JobError> {
    board.order.lock().expect("whole").push(mark);
    Ok(())
}

#[job(concurrency = 2)]
async fn limited(board: State<Arc<Board>>) -> Result<(), JobError> {
    board.pass().await
}

#[job]
async fn wait_for_gate(board: State<Arc<Board>>) -> Result<(), JobError> {
    board.pass().await
}

struct Stage {
    fresh: Fresh,
    board: Arc<Board>,
    executor: Executor,
}

impl Stage {
    async fn set(change: impl FnOnce(Builder) -> Builder) -> Self {
        let fresh = Fresh::new();
        let board = Arc::<Board>::default();
        let builder = change(fresh.builder().state(Arc::clone(&board)));
        let executor = builder.connect().await.expect("connected");
        Self {
            fresh,
            board,
            executor,
        }
    }

    async fn create(&self, program: impl IntoProgram) -> RunId {
        self.executor.create(program).await.expect("created").run_id
    }

    async fn get(&self, run_id: &RunId) -> ProgramInfo {
        self.executor
            .get(run_id)
            .await
            .expect("read")
            .expect("there")
    }

    async fn all_finish(&self, run_ids: &[RunId]) {
        for run_id in run_ids {
            let program = ended(&self.executor, run_id).await;
            assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        }
    }
}

fn marked(mark: impl ToString) -> Mark {
    Mark {
        mark: mark.to_string(),
    }
}

#[tokio::test]
async fn a_step_of_priority_is_worth_a_minute_of_waiting() {
    let stage = Stage::set(|builder| builder.slots(1)).await;
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let run_ids = [
        stage.create(marked("now")).await,
        stage
            .create(marked("now, a minute better").priority(-1))
            .await,
        stage.create(marked("for 90 s").run_at(ago(90))).await,
        stage
            .create(
                marked("for 90 s, a minute worse")
                    .priority(1)
                    .run_at(ago(90)),
            )
            .await,
        stage
            .create(
                marked("for an hour, two hours worse")
                    .priority(120)
                    .run_at(ago(3600)),
            )
            .await,
    ];
    let working = Working::start(&stage.executor);
    stage.all_finish(&run_ids).await;
    let expected = [
        "for 90 s",
        "now, a minute better",
        "for 90 s, a minute worse",
        "now",
        "for an hour, two hours worse",
    ];
    assert_eq!(stage.board.order(), expected);
    working.stop().await;
}

#[tokio::test]
async fn programs_of_one_moment_run_in_the_order_of_their_creation() {
    let stage = Stage::set(|builder| builder.slots(1).queues(["a", "b"])).await;
    let programs = (10..40).map(|n| marked(n).queue(if n % 2 == 0 { "a" } else { "b" }));
    let created = stage.executor.create_many(programs).await.expect("created");
    let run_ids: Vec<_> = created
        .into_iter()
        .map(|one| one.expect("created").run_id)
        .collect();
    let working = Working::start(&stage.executor);
    stage.all_finish(&run_ids).await;
    assert_eq!(
        stage.board.order(),
        (10..40).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    working.stop().await;
}

#[tokio::test]
async fn a_scheduled_program_waits_for_its_time() {
    let stage = Stage::set(|builder| builder).await;
    let working = Working::start(&stage.executor);
    let soon = SystemTime::now() + Duration::from_millis(400);
    let at = stage.create(marked("at").priority(-100).run_at(soon)).await;
    let after = stage
        .create(marked("after").run_after(Duration::from_millis(600)))
        .await;
    let never = stage
        .create(marked("never").run_after(Duration::from_secs(3600)))
        .await;
    let first = stage.create(marked("at once")).await;
    let waits = stage.get(&at).await;
    assert_eq!(waits.state, ProgramState::Scheduled);
    assert!(
        waits.reason().expect("a reason").starts_with("due at 2"),
        "{:?}",
        waits.reason()
    );
    stage.all_finish(&[first, after.clone(), at.clone()]).await;
    assert_eq!(stage.board.order(), ["at once", "at", "after"]);
    for run_id in [at, after] {
        let program = stage.get(&run_id).await;
        assert!(
            program.finished_at > program.available_at,
            "too early: {program:?}"
        );
        let late = program
            .finished_at
            .expect("ended")
            .since(program.available_at.expect("due"));
        assert!(late < Duration::from_secs(5), "{late:?} late");
    }
    assert_eq!(stage.get(&never).await.state, ProgramState::Scheduled);
    working.stop().await;
}

#[tokio::test]
async fn a_rescheduled_program_runs_at_its_new_time() {
    let stage = Stage::set(|builder| builder).await;
    let working = Working::start(&stage.executor);
    let run_id = stage
        .create(marked("late").run_after(Duration::from_secs(3600)))
        .await;
    assert!(
        stage
            .executor
            .reschedule(&run_id, SystemTime::now())
            .await
            .expect("done")
    );
    stage.all_finish(&[run_id]).await;
    assert!(
        !stage
            .executor
            .reschedule(&"nobody".into(), SystemTime::now())
            .await
            .expect("an answer")
    );
    working.stop().await;
}

#[tokio::test]
async fn a_limited_job_keeps_to_its_limit_and_holds_nobody_up() {
    let stage = Stage::set(|builder| builder.slots(5)).await;
    let mut run_ids = Vec::new();
    for n in 0..12 {
        run_ids.push(match n % 3 {
            0 => {
                stage
                    .create(Program::new(()).then(marked(n)).then(Limited))
                    .await
            }
            _ => stage.create(Limited).await,
        });
    }
    let free = stage.create(marked("free")).await;
    let working = Working::start(&stage.executor);
    until("the limited job is full", async || {
        stage.board.inside() == 2
    })
    .await;
    stage.all_finish(&[free]).await;
    assert_eq!(stage.board.inside(), 2);
    stage.board.gate.0.add_permits(run_ids.len());
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.board.most_inside(), 2);
    // The room is whole again.
    let again = [
        stage.create(Limited).await,
        stage.create(Limited).await,
        stage.create(Limited).await,
    ];
    until("it is full again", async || stage.board.inside() == 2).await;
    stage.board.gate.0.add_permits(3);
    stage.all_finish(&again).await;
    assert_eq!(stage.board.most_inside(), 2);
    working.stop().await;
}

#[tokio::test]
async fn a_limit_holds_over_all_queues_of_a_worker() {
    let stage = Stage::set(|builder| builder.queues(["a", "b", "c"])).await;
    let mut run_ids = Vec::new();
    for queue in ["a", "b", "c"].repeat(3) {
        run_ids.push(stage.create(Limited.queue(queue)).await);
    }
    let free = stage.create(marked("free").queue("c").priority(1)).await;
    let working = Working::start(&stage.executor);
    stage.all_finish(&[free]).await;
    stage.board.gate.0.add_permits(run_ids.len());
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.board.most_inside(), 2);
    working.stop().await;
}

#[tokio::test]
async fn a_worker_runs_no_more_programs_than_it_has_slots() {
    let stage = Stage::set(|builder| builder.slots(3)).await;
    let mut run_ids = Vec::new();
    for _ in 0..10 {
        run_ids.push(
            stage
                .create(Program::new(()).then(WaitForGate).then(marked("then")))
                .await,
        );
    }
    let working = Working::start(&stage.executor);
    until("all slots are taken", async || stage.board.inside() == 3).await;
    stage.board.gate.0.add_permits(run_ids.len());
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.board.most_inside(), 3);
    working.stop().await;
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    let stage = Stage::set(|builder| builder.queues(["mail", "other"])).await;
    assert!(stage.executor.pause("mail").await.expect("paused"));
    assert!(!stage.executor.pause("mail").await.expect("paused already"));
    let working = Working::start(&stage.executor);
    let mail = stage
        .create(marked("mail").priority(-10).queue("mail"))
        .await;
    let other = stage.create(marked("other").queue("other")).await;
    stage.all_finish(&[other]).await;
    assert_eq!(stage.get(&mail).await.state, ProgramState::Available);
    assert!(stage.executor.stats().await.expect("stats").queues["mail"].paused);
    assert!(stage.executor.resume("mail").await.expect("resumed"));
    assert!(!stage.executor.resume("mail").await.expect("not paused"));
    stage.all_finish(&[mail]).await;
    assert_eq!(stage.board.order(), ["other", "mail"]);
    working.stop().await;
}

#[tokio::test]
async fn a_program_of_a_paused_queue_stops_after_its_present_step() {
    let stage = Stage::set(|builder| builder.queues(["mail", "other"])).await;
    let working = Working::start(&stage.executor);
    let program = Program::new(())
        .then(WaitForGate)
        .then(marked("mail"))
        .queue("mail");
    let mail = stage.create(program).await;
    until("it runs", async || stage.board.inside() == 1).await;
    assert!(stage.executor.pause("mail").await.expect("paused"));
    stage.board.gate.0.add_permits(1);
    until("its step is done", async || stage.get(&mail).await.step > 0).await;
    let other = stage.create(marked("other").queue("other")).await;
    stage.all_finish(&[other]).await;
    let waits = stage.get(&mail).await;
    assert_eq!(
        (waits.state, waits.step),
        (ProgramState::Available, 1),
        "{waits:?}"
    );
    stage.executor.resume("mail").await.expect("resumed");
    stage.all_finish(&[mail]).await;
    assert_eq!(stage.board.order(), ["other", "mail"]);
    working.stop().await;
}

#[tokio::test]
async fn a_queue_that_nobody_works_waits() {
    let stage = Stage::set(|builder| builder).await;
    let working = Working::start(&stage.executor);
    let alone = stage
        .create(marked("alone").priority(-10).queue("alone"))
        .await;
    let default = stage.create(marked("default")).await;
    stage.all_finish(&[default]).await;
    assert_eq!(stage.get(&alone).await.state, ProgramState::Available);
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_creators_of_one_key_make_one_program() {
    let stage = Stage::set(|builder| builder).await;
    // Creators of one process share commits: half of them have a connection of their own.
    let second = stage.fresh.builder().connect().await.expect("connected");
    let create = |n: usize, key: &'static str| {
        let executor = if n.is_multiple_of(2) {
            stage.executor.clone()
        } else {
            second.clone()
        };
        tokio::spawn(async move {
            executor
                .create(marked(n).unique(key))
                .await
                .expect("created")
        })
    };
    let creators: Vec<_> = (0..32).map(|n| create(n, "customer:7")).collect();
    let mut run_ids = BTreeSet::new();
    let mut made = 0;
    for creator in creators {
        let created = creator.await.expect("no panic");
        made += usize::from(!created.existed);
        run_ids.insert(created.run_id);
    }
    assert_eq!((run_ids.len(), made), (1, 1));
    assert_eq!(
        stage
            .executor
            .list(Filter::new())
            .await
            .expect("a list")
            .len(),
        1
    );
    let another = create(0, "customer:8").await.expect("no panic");
    assert!(!another.existed);

    // An ended program has no key any more; nor has one that was stopped by hand.
    let working = Working::start(&stage.executor);
    let first = run_ids.pop_first().expect("the one");
    stage.all_finish(&[first, another.run_id]).await;
    working.stop().await;
    let next = create(0, "customer:7").await.expect("no panic");
    assert!(!next.existed);
    stage
        .fresh
        .sql("UPDATE programs SET errored_at = CURRENT_TIMESTAMP WHERE finished_at IS NULL");
    let last = create(1, "customer:7").await.expect("no panic");
    assert!(!last.existed);
    let error = stage
        .executor
        .retry(&next.run_id)
        .await
        .expect_err("its key is taken");
    assert!(error.to_string().contains(last.run_id.as_str()), "{error}");
}

#[tokio::test]
async fn several_processes_run_each_program_once() {
    let stage = Stage::set(|builder| builder).await;
    let ledger = stage.fresh.ledger();
    let start = |_| stage.fresh.worker(WORKER).set("EXECUTOR_SLOTS", 4).start();
    let processes: Vec<_> = (0..4).map(start).collect();
    let there = async || stage.executor.workers().await.expect("workers").len() == 4;
    until("all workers are there", there).await;
    let programs = (0..200).map(|_| Program::new(()).then(Once).then_again(Once));
    let created = stage.executor.create_many(programs).await.expect("created");
    let run_ids: Vec<_> = created
        .into_iter()
        .map(|one| one.expect("created").run_id)
        .collect();
    stage.all_finish(&run_ids).await;
    let mut runs: HashMap<_, usize> = HashMap::new();
    for entry in ledger.of("start") {
        *runs.entry((entry.run_id, entry.step)).or_default() += 1;
    }
    assert_eq!(runs.len(), 400);
    assert!(runs.values().all(|times| *times == 1), "{runs:?}");
    let pids: BTreeSet<_> = ledger
        .of("start")
        .into_iter()
        .map(|entry| entry.pid)
        .collect();
    assert!(pids.len() > 1, "one worker did it all");
    for process in processes {
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_leaves_jobs_that_it_lacks_to_others() {
    let stage = Stage::set(|builder| builder).await;
    let process = stage.fresh.worker(WORKER).start();
    let alone = stage.create(marked("alone").priority(-10)).await;
    let program = Program::new(()).then(Once).then(marked("between"));
    let between = stage.create(program.priority(-10)).await;
    let last = stage.create(Once).await;
    stage.all_finish(&[last]).await;
    until("it has gone as far as it can", async || {
        stage.get(&between).await.step == 1
    })
    .await;
    let untouched = stage.get(&alone).await;
    assert_eq!(
        (untouched.state, untouched.step),
        (ProgramState::Available, 0),
        "{untouched:?}"
    );
    let claims = stage
        .fresh
        .value("token", &format!("programs WHERE run_id = '{alone}'"));
    assert_eq!(claims.as_deref(), Some("0"), "it was claimed");
    let waits = stage.get(&between).await;
    assert_eq!(
        (waits.state, waits.lease_until),
        (ProgramState::Available, None),
        "{waits:?}"
    );
    process.stop().await;

    // This process has those jobs.
    let working = Working::start(&stage.executor);
    stage.all_finish(&[alone, between]).await;
    let order = BTreeSet::from_iter(stage.board.order());
    assert_eq!(order, ["alone", "between"].map(str::to_owned).into());
    working.stop().await;
}

#[tokio::test]
async fn a_worker_can_be_told_to_skip_or_to_fail_jobs_that_it_lacks() {
    let stage = Stage::set(|builder| builder).await;
    let program = || {
        DynProgram::new(())
            .then(Once)
            .then(marked("unknown"))
            .then(Once)
    };
    let skipped = stage.create(program().queue("skip")).await;
    let failed = stage.create(program().queue("fail")).await;
    let start = |choice| {
        let worker = stage.fresh.worker(WORKER).set("EXECUTOR_QUEUE", choice);
        worker.set("EXECUTOR_UNKNOWN_JOB", choice).start()
    };
    let processes = [start("skip"), start("fail")];
    stage.all_finish(std::slice::from_ref(&skipped)).await;
    let failed = ended(&stage.executor, &failed).await;
    assert_eq!((failed.state, failed.step), (ProgramState::Errored, 1));
    let message = failed.error_message.expect("a message");
    assert_eq!(message, "no job is named \"mark\" in this worker");
    let starts = stage.fresh.ledger().of("start");
    assert_eq!(
        starts
            .iter()
            .filter(|start| start.run_id == skipped)
            .count(),
        2
    );
    for process in processes {
        process.stop().await;
    }
}
