//! Queues with slots of their own: no more of one runs at once than it has, and a full one keeps no other
//! from its slots.

#[path = "../jobs.rs"]
mod jobs;

use std::{collections::HashMap, path::PathBuf, time::Duration};

use executor::{DynProgram, Executor, ProgramState, RunId, prelude::*};
use executor_tests::{Entry, Fresh, Process, Rabbit, Store, ended, until};
use jobs::{Bounded, HoldLane, Nap, Once, Restless};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

/// The queues' marks in the ledger.
const SLOW: u32 = 1;
const MAIL: u32 = 2;
const REST: u32 = 3;

struct Stage {
    fresh: Fresh,
    rabbit: Option<Rabbit>,
    executor: Executor,
}

impl Stage {
    async fn new(rabbit: Option<Rabbit>) -> Self {
        let fresh = Fresh::new();
        let builder = match &rabbit {
            None => fresh.builder(),
            Some(rabbit) => { fresh.builder() }
                .amqp_url(rabbit.url())
                .amqp_prefix(rabbit.prefix()),
        };
        Self {
            executor: builder.connect().await.expect("an executor"),
            fresh,
            rabbit,
        }
    }

    /// A worker process that works these queues, with four slots for those that have none of their own.
    fn worker(&self, queues: &str) -> Process {
        let worker = { self.fresh.worker(WORKER) }
            .set("EXECUTOR_QUEUE", queues)
            .set("EXECUTOR_SLOTS", 4);
        match &self.rabbit {
            None => worker,
            Some(rabbit) => worker
                .set("AMQP_URL", rabbit.url())
                .set("EXECUTOR_AMQP_PREFIX", rabbit.prefix()),
        }
        .start()
    }

    fn gate(&self, queue: &str) -> PathBuf {
        self.fresh.folder().join(queue)
    }

    /// What runs in this queue may end.
    fn open(&self, queue: &str) {
        std::fs::write(self.gate(queue), "").expect("a gate");
    }

    async fn create(&self, programs: Vec<DynProgram>) -> Vec<RunId> {
        let created = self.executor.create_many(programs).await.expect("created");
        let run_id = |created: executor::Result<executor::Created>| created.expect("new").run_id;
        created.into_iter().map(run_id).collect()
    }

    /// Programs that end when the queue's gate is open.
    async fn hold(&self, queue: &str, lane: u32, number: usize) -> Vec<RunId> {
        let file = self.gate(queue).display().to_string();
        let program = |_| HoldLane {
            lane,
            file: file.clone(),
        };
        let programs = (0..number).map(program);
        let programs = programs.map(|hold| hold.into_program().queue(queue).erase());
        self.create(programs.collect()).await
    }

    /// How many bodies have begun in this queue, in all.
    fn begun(&self, lane: u32) -> usize {
        let begun = self.fresh.ledger().of("begin");
        begun.iter().filter(|entry| entry.number == lane).count()
    }

    async fn have_begun(&self, lane: u32, number: usize) {
        until(&format!("{number} of {lane} have begun"), async || {
            self.begun(lane) >= number
        })
        .await;
    }

    async fn all_finish(&self, run_ids: &[RunId]) {
        for run_id in run_ids {
            let program = ended(&self.executor, run_id).await;
            assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        }
    }

    /// The most bodies of each queue that have run at once in one process.
    fn most(&self) -> HashMap<u32, usize> {
        let (mut running, mut most) = (HashMap::new(), HashMap::new());
        for Entry {
            what, pid, number, ..
        } in self.fresh.ledger().entries()
        {
            let now: &mut usize = running.entry((pid, number)).or_default();
            match &*what {
                "begin" => *now += 1,
                "end" => *now -= 1,
                _ => continue,
            }
            let most: &mut usize = most.entry(number).or_default();
            *most = (*most).max(*now);
        }
        most
    }
}

async fn each_queue_has_its_own_slots_and_no_other(stage: Stage) {
    // The slow ones are the oldest, and all slots could be theirs.
    let mut run_ids = stage.hold("slow", SLOW, 20).await;
    run_ids.extend(stage.hold("default", REST, 12).await);
    let mail = stage.hold("mail", MAIL, 60).await;
    let worker = stage.worker("slow:2,mail:3,default");
    stage.have_begun(SLOW, 2).await;
    stage.have_begun(REST, 4).await;
    stage.have_begun(MAIL, 3).await;
    stage.open("mail");
    stage.all_finish(&mail).await;
    // What comes now starts at once, beside two queues that are full.
    let more = stage.hold("mail", MAIL, 10).await;
    stage.all_finish(&more).await;
    assert_eq!([stage.begun(SLOW), stage.begun(REST)], [2, 4]);
    if let Some(rabbit) = &stage.rabbit {
        // It has held two messages, and has none of those that wait.
        let (messages, _) = rabbit.queue("slow").await.expect("it is there");
        assert!(messages >= 16, "{messages}");
        until("others are to have them", async || {
            matches!(rabbit.queue("slow").await, Some((_, 0)))
        })
        .await;
        until("the other is heard", async || {
            matches!(rabbit.queue("mail").await, Some((0, 1)))
        })
        .await;
    }
    stage.open("slow");
    stage.open("default");
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.most(), [(SLOW, 2), (MAIL, 3), (REST, 4)].into());
    // They are heard and claimed as before.
    let again = [
        stage.hold("slow", SLOW, 5).await,
        stage.hold("mail", MAIL, 5).await,
        stage.hold("default", REST, 5).await,
    ];
    stage.all_finish(&again.concat()).await;
    assert_eq!(stage.most(), [(SLOW, 2), (MAIL, 3), (REST, 4)].into());
    if let Some(rabbit) = &stage.rabbit {
        for queue in ["slow", "mail", "default"] {
            until(
                &format!("the messages of {queue} are used up"),
                async || matches!(rabbit.queue(queue).await, Some((0, 1))),
            )
            .await;
        }
    }
    worker.stop().await;
    if let Some(rabbit) = &stage.rabbit {
        for queue in ["slow", "mail", "default"] {
            rabbit.delete(queue).await;
        }
    }
}

#[tokio::test]
async fn each_queue_has_its_own_slots() {
    each_queue_has_its_own_slots_and_no_other(Stage::new(None).await).await;
}

#[tokio::test]
async fn each_queue_has_its_own_slots_over_rabbitmq() {
    if let Some(rabbit) = Rabbit::shared().await {
        each_queue_has_its_own_slots_and_no_other(Stage::new(Some(rabbit)).await).await;
    }
}

#[tokio::test]
async fn slots_come_back_from_workers_that_are_stopped_and_killed() {
    let stage = Stage::new(None).await;
    let slow = stage.hold("slow", SLOW, 9).await;
    let mail = stage.hold("mail", MAIL, 9).await;
    let killed = stage.worker("slow:2,mail:3");
    stage.have_begun(SLOW, 2).await;
    stage.have_begun(MAIL, 3).await;
    killed.kill();
    // It takes over what the dead one had, within its own slots.
    let stopped = stage.worker("slow:2,mail:3");
    stage.have_begun(SLOW, 4).await;
    stage.have_begun(MAIL, 6).await;
    stopped.stop().await;
    let last = stage.worker("slow:1,mail");
    stage.have_begun(SLOW, 5).await;
    stage.have_begun(MAIL, 10).await;
    assert_eq!(stage.most(), [(SLOW, 2), (MAIL, 4)].into());
    stage.open("slow");
    stage.open("mail");
    stage.all_finish(&[slow, mail].concat()).await;
    assert_eq!(stage.most(), [(SLOW, 2), (MAIL, 4)].into());
    last.stop().await;
}

#[tokio::test]
async fn a_queue_is_paused_by_itself() {
    let stage = Stage::new(None).await;
    stage.open("slow");
    stage.open("mail");
    let worker = stage.worker("slow:2,mail:3");
    assert!(stage.executor.pause("slow").await.expect("reached"));
    let slow = stage.hold("slow", SLOW, 10).await;
    let mail = stage.hold("mail", MAIL, 10).await;
    stage.all_finish(&mail).await;
    assert_eq!(stage.begun(SLOW), 0);
    assert!(stage.executor.resume("slow").await.expect("reached"));
    stage.all_finish(&slow).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_slot_that_is_freed_without_a_word_is_filled_at_once() {
    const NAPS: usize = 40;
    if Store::of_this_run() != Store::Postgres {
        return; // The others are looked at several times a second in any case.
    }
    let stage = Stage::new(None).await;
    let worker = stage.worker("slow:1,mail:3");
    let gate = |at: usize| stage.gate(&format!("nap-{at}"));
    for at in 0..=NAPS {
        let file = gate(at).display().to_string();
        let nap = Nap { lane: SLOW, file }.into_program().queue("slow");
        nap.create(&stage.executor).await.expect("created");
    }
    // Without a word the worker would look when the next lease could end.
    let in_time = tokio::time::timeout(Duration::from_secs(NAPS as u64 / 4), async {
        for at in 0..NAPS {
            stage.have_begun(SLOW, at + 1).await;
            // Meanwhile it has asked for the other queue only.
            let mail = Once.queue("mail").create(&stage.executor).await;
            stage.all_finish(&[mail.expect("created")]).await;
            std::fs::write(gate(at), "").expect("a gate");
        }
    });
    in_time.await.expect("each at once");
    worker.stop().await;
}

/// Limits of jobs, snoozes, retries and several steps, in queues with slots of their own.
async fn all_else_goes_on(stage: Stage) {
    let held = stage.hold("slow", SLOW, 3).await;
    let mut programs = Vec::new();
    for at in 0..30 {
        let (queue, lane) = [("mail", MAIL), ("default", REST), ("more", REST)][at % 3];
        let program = Program::new(())
            .then(Restless { lane, turn: 0 })
            .then(Bounded { lane })
            .then(Once)
            .queue(queue)
            .priority(i32::try_from(at % 4).expect("small"));
        programs.push(program.erase());
        let alone = Bounded { lane }.into_program().queue(queue);
        programs.push(alone.run_after(Duration::from_millis(20)).erase());
    }
    let run_ids = stage.create(programs).await;
    let worker = stage.worker("slow:1,mail:3,default,more");
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.begun(SLOW), 1);
    stage.open("slow");
    stage.all_finish(&held).await;
    worker.stop().await;
    let most = stage.most();
    assert!(
        most[&SLOW] == 1 && most[&MAIL] <= 3 && most[&REST] <= 4,
        "{most:?}"
    );
    if let Some(rabbit) = &stage.rabbit {
        for queue in ["slow", "mail", "default", "more"] {
            rabbit.delete(queue).await;
        }
    }
}

#[tokio::test]
async fn limits_snoozes_and_retries_go_on_beside_a_full_queue() {
    all_else_goes_on(Stage::new(None).await).await;
}

#[tokio::test]
async fn limits_snoozes_and_retries_go_on_beside_a_full_queue_over_rabbitmq() {
    if let Some(rabbit) = Rabbit::shared().await {
        all_else_goes_on(Stage::new(Some(rabbit)).await).await;
    }
}

#[tokio::test]
async fn a_wrong_list_of_queues_stops_the_worker_with_a_word() {
    let fresh = Fresh::new();
    for (queues, word) in [
        ("mail:0", "needs at least one"),
        ("mail:x", "is no number of slots"),
        ("mail,mail:2", "name it once"),
        ("mail:99999,default", "must be at most 100000 in all"),
    ] {
        let output = std::process::Command::new(WORKER)
            .env("DATABASE_URL", fresh.url())
            .env("EXECUTOR_QUEUE", queues)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(word), "{said}");
    }
}
