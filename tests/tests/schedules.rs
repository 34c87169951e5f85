//! Programs that start by themselves: each slot once, whatever happens to the workers.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use executor::{
    CatchUp, DynProgram, Executor, Filter, ProgramInfo, Schedule, ScheduleInfo, ScheduleSource,
    Slot, prelude::*,
};
use executor_tests::{Fresh, Working, until};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");

/// The slots that the jobs of one test were run for.
type Seen = Arc<Mutex<Vec<Option<Slot>>>>;

#[job]
async fn see(seen: State<Seen>, slot: Option<Slot>, label: String) -> Result<String, JobError> {
    seen.lock().expect("whole").push(slot);
    Ok(label)
}

#[program(name = "tick")]
fn tick(slot: Option<Slot>, label: Option<String>) -> impl IntoProgram {
    let label = label.unwrap_or_default();
    See { slot, label }.attributes(serde_json::json!({"mine": 1, "slot": "is overwritten"}))
}

/// So seldom that no test meets it.
#[program(schedule = "0 0 1 1 *", timezone = "Europe/Budapest", catch_up = "all")]
async fn yearly(slot: Slot) -> Result<impl IntoProgram, std::io::Error> {
    Ok(See::new("yearly".to_owned()).named(format!("yearly {slot}")))
}

static BROKEN: AtomicBool = AtomicBool::new(false);

#[program]
fn fragile(panic: bool) -> Result<DynProgram, std::fmt::Error> {
    match BROKEN.load(Ordering::SeqCst) {
        false => Ok(See::new("fragile".to_owned()).erase()),
        true if panic => panic!("it was to be"),
        true => Err(std::fmt::Error),
    }
}

struct Stage {
    fresh: Fresh,
    executor: Executor,
    seen: Seen,
}

impl Stage {
    async fn set() -> Self {
        let fresh = Fresh::new();
        let seen = Seen::default();
        let executor = fresh.builder().state(Arc::clone(&seen)).connect().await;
        Self {
            executor: executor.expect("connected"),
            fresh,
            seen,
        }
    }

    /// Another handle on the same store.
    async fn beside(&self) -> Executor {
        let builder = self.fresh.builder().state(Arc::clone(&self.seen));
        builder.connect().await.expect("connected")
    }

    async fn set_schedule(&self, schedule: Schedule) {
        let schedules = self.executor.schedules();
        schedules.set(schedule).await.expect("set");
    }

    async fn schedule(&self, name: &str) -> ScheduleInfo {
        let found = self.executor.schedules().get(name).await;
        found.expect("read").expect("it is there")
    }

    /// The programs of each schedule.
    async fn started(&self) -> HashMap<String, Vec<ProgramInfo>> {
        let all = self.executor.list(Filter::new().limit(10_000)).await;
        let mut started = HashMap::<_, Vec<_>>::new();
        for program in all.expect("read").into_iter().rev() {
            let name = program.attributes["schedule"].as_str().unwrap_or_default();
            started.entry(name.to_owned()).or_default().push(program);
        }
        started
    }

    async fn count(&self, schedule: &str) -> usize {
        self.started().await.get(schedule).map_or(0, Vec::len)
    }

    async fn reaches(&self, schedule: &str, programs: usize) {
        until(&format!("{schedule} has started {programs}"), async || {
            self.count(schedule).await >= programs
        })
        .await;
    }

    /// Makes all schedules as they would be, had they been set or changed so much earlier.
    fn was_set_earlier(&self, millis: i64) {
        self.fresh.sql(&format!(
            "UPDATE programs_schedules SET changed_at = changed_at - {millis}"
        ));
    }
}

fn every_second(name: &str) -> Schedule {
    Schedule::new("tick", "* * * * * *")
        .named(name)
        .catch_up(CatchUp::All)
}

fn slot_of(program: &ProgramInfo) -> u64 {
    let slot: Slot = program.attributes["slot"]
        .as_str()
        .expect("it has a slot")
        .parse()
        .expect("a time");
    let since = slot.time().duration_since(std::time::UNIX_EPOCH);
    since.expect("after the epoch").as_secs()
}

/// Each second once, and none left out.
fn assert_dense(programs: &[ProgramInfo]) {
    let mut slots: Vec<u64> = programs.iter().map(slot_of).collect();
    slots.sort_unstable();
    let dense: Vec<u64> = (slots[0]..).take(slots.len()).collect();
    assert_eq!(slots, dense);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_fill_each_slot_once_and_jobs_know_it() {
    let stage = Stage::set().await;
    stage
        .set_schedule(every_second("often").argument("label", "x"))
        .await;
    // Some that were missed, so that they race for many.
    stage.was_set_earlier(50_000);
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(Working::start(&stage.beside().await));
    }
    stage.reaches("often", 53).await;
    until("all have run", async || {
        stage.seen.lock().expect("whole").len() >= 53
    })
    .await;
    for worker in workers {
        worker.stop().await;
    }
    let started = &stage.started().await["often"];
    assert_dense(started);
    assert!(
        started
            .iter()
            .all(|p| p.attributes["mine"] == 1 && p.name.as_deref() == Some("tick"))
    );
    assert!(started.iter().all(|p| p.job_data["see"]["label"] == "x"));
    let slots: Vec<Option<String>> = started
        .iter()
        .map(|p| p.attributes["slot"].as_str().map(str::to_owned))
        .collect();
    let seen = stage.seen.lock().expect("whole").clone();
    assert!(
        seen.iter()
            .all(|slot| slots.contains(&slot.map(|slot| slot.to_string()))),
        "{seen:?}"
    );
    let info = stage.schedule("often").await;
    let last = info.last_slot.map(|slot| slot.to_string());
    let newest = started.iter().max_by_key(|p| slot_of(p)).expect("one");
    assert_eq!(last.as_deref(), newest.attributes["slot"].as_str());
    assert_eq!(info.last_run_id.as_ref(), Some(&newest.run_id));
}

#[tokio::test]
async fn missed_slots_are_caught_up_with_as_the_schedule_says() {
    let stage = Stage::set().await;
    // Once an hour, half an hour from now: none of the last five hours is less than a minute ago.
    let now = humantime_minute();
    let cron = format!("{} * * * *", (now + 30) % 60);
    for (name, catch_up) in [
        ("1 none", CatchUp::None),
        ("2 last", CatchUp::Last),
        ("3 all", CatchUp::All),
    ] {
        stage
            .set_schedule(Schedule::new("tick", &*cron).named(name).catch_up(catch_up))
            .await;
    }
    stage.was_set_earlier(5 * 3_600_000);
    let worker = Working::start(&stage.executor);
    stage.reaches("3 all", 5).await;
    worker.stop().await;
    let started = stage.started().await;
    let counts = ["1 none", "2 last", "3 all"].map(|name| started.get(name).map_or(0, Vec::len));
    assert_eq!(counts, [0, 1, 5]);
    let newest = started["3 all"].iter().map(slot_of).max();
    assert_eq!(newest, Some(slot_of(&started["2 last"][0])));
    // Another one has nothing to add.
    stage.set_schedule(every_second("later")).await;
    let worker = Working::start(&stage.executor);
    stage.reaches("later", 1).await;
    worker.stop().await;
    assert_eq!(stage.count("3 all").await, 5);
}

/// The minute of the present hour.
fn humantime_minute() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after the epoch").as_secs() / 60 % 60
}

#[tokio::test]
async fn more_than_a_thousand_are_not_caught_up_with() {
    let stage = Stage::set().await;
    stage.set_schedule(every_second("often")).await;
    stage.was_set_earlier(3_000_000);
    let worker = Working::start(&stage.executor);
    stage.reaches("often", 1001).await;
    worker.stop().await;
    let started = &stage.started().await["often"];
    assert!((1001..1100).contains(&started.len()), "{}", started.len());
    assert_dense(started);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_leaves_no_slot_half_filled() {
    let stage = Stage::set().await;
    stage.set_schedule(every_second("often")).await;
    // It is killed while it has hundreds of slots to fill.
    stage.was_set_earlier(900_000);
    let killed = stage.fresh.worker(WORKER).start();
    stage.reaches("often", 100).await;
    killed.kill();
    let before = stage.count("often").await;
    let workers = [(); 2].map(|()| stage.fresh.worker(WORKER).start());
    stage.reaches("often", 903).await;
    for worker in workers {
        worker.stop().await;
    }
    assert!(before <= 910, "{before}");
    assert_dense(&stage.started().await["often"]);
}

#[tokio::test]
async fn a_pause_holds_at_once_and_over_restarts() {
    let stage = Stage::set().await;
    stage.set_schedule(every_second("paused")).await;
    let worker = Working::start(&stage.executor);
    stage.reaches("paused", 1).await;
    let schedules = stage.executor.schedules();
    assert!(schedules.pause("paused").await.expect("paused"));
    assert!(!schedules.pause("paused").await.expect("it was"));
    let count = stage.count("paused").await;
    worker.stop().await;
    assert!(stage.schedule("paused").await.next.is_empty());
    stage.set_schedule(every_second("other")).await;
    let worker = Working::start(&stage.executor);
    stage.reaches("other", 3).await;
    assert_eq!(stage.count("paused").await, count);
    // What passed meanwhile was not missed, though all is caught up with.
    assert!(schedules.resume("paused").await.expect("resumed"));
    let resumed = stage.schedule("paused").await.changed_at;
    stage.reaches("paused", count + 1).await;
    worker.stop().await;
    let started = &stage.started().await["paused"];
    let since = u64::try_from(resumed.as_millis() / 1000).expect("after the epoch");
    assert!(
        started[count..].iter().all(|p| slot_of(p) >= since),
        "{started:?}"
    );
    let unknown = schedules.pause("pause").await.expect_err("there is none");
    assert_eq!(
        unknown.to_string(),
        "no schedule is named \"pause\"; did you mean \"paused\"?"
    );
}

#[tokio::test]
async fn the_code_writes_its_schedules_and_people_have_the_last_word() {
    let stage = Stage::set().await;
    let schedules = stage.executor.schedules();
    assert!(schedules.list().await.expect("read").is_empty());
    let is_there = async || {
        until("the worker has written it", async || {
            schedules.get("yearly").await.expect("read").is_some()
        })
        .await;
    };
    let worker = Working::start(&stage.executor);
    is_there().await;
    let info = stage.schedule("yearly").await;
    assert_eq!(
        (&*info.cron, &*info.timezone),
        ("0 0 1 1 *", "Europe/Budapest")
    );
    assert_eq!(
        (info.source, info.catch_up),
        (ScheduleSource::Code, CatchUp::All)
    );
    assert_eq!((info.remark, info.next.len()), (None, 5));
    assert!(
        info.next[0].to_string().ends_with("-12-31T23:00:00.000Z"),
        "{:?}",
        info.next
    );
    // Somebody changes it, and a restart leaves that alone.
    stage
        .set_schedule(Schedule::new("yearly", "0 12 * * *"))
        .await;
    worker.stop().await;
    stage.set_schedule(every_second("sign of life")).await;
    let worker = Working::start(&stage.executor);
    stage.reaches("sign of life", 1).await;
    let edited = stage.schedule("yearly").await;
    assert_eq!(
        (&*edited.cron, edited.source),
        ("0 12 * * *", ScheduleSource::Code)
    );
    assert_eq!(
        edited.remark.as_deref(),
        Some(
            "the code says \"0 0 1 1 *\" in Europe/Budapest, catching up all; `schedules delete` brings \
             that back"
        )
    );
    assert!(schedules.delete("yearly").await.expect("deleted"));
    is_there().await;
    assert_eq!(stage.schedule("yearly").await.cron, "0 0 1 1 *");
    worker.stop().await;
}

/// A binary that lost a schedule leaves it to those that still have it.
#[tokio::test]
async fn what_the_code_has_no_more_is_not_run() {
    let stage = Stage::set().await;
    stage.set_schedule(every_second("of old")).await;
    stage.set_schedule(every_second("of now")).await;
    stage
        .fresh
        .sql("UPDATE programs_schedules SET source = 'code' WHERE name = 'of old'");
    let worker = Working::start(&stage.executor);
    stage.reaches("of now", 2).await;
    worker.stop().await;
    assert_eq!(stage.count("of old").await, 0);
    let remark = stage.schedule("of old").await.remark;
    let said = "the code of this binary does not have it any more, and does not run it";
    assert_eq!(remark.as_deref(), Some(said));
}

#[tokio::test]
async fn a_program_that_cant_be_made_holds_up_its_own_schedule_alone() {
    let stage = Stage::set().await;
    for (name, panic) in [("a fails", false), ("b panics", true)] {
        let fragile = Schedule::new("fragile", "* * * * * *").named(name);
        stage.set_schedule(fragile.argument("panic", panic)).await;
    }
    stage.set_schedule(every_second("c is well")).await;
    BROKEN.store(true, Ordering::SeqCst);
    let worker = Working::start(&stage.executor);
    stage.reaches("c is well", 2).await;
    for (name, reason) in [
        ("a fails", "an error occurred"),
        ("b panics", "has panicked"),
    ] {
        until("it is noted", async || {
            let error = stage.schedule(name).await.error_message;
            error.is_some_and(|error| error.contains(reason))
        })
        .await;
        assert_eq!(stage.count(name).await, 0);
    }
    BROKEN.store(false, Ordering::SeqCst);
    for name in ["a fails", "b panics"] {
        stage.reaches(name, 1).await;
        assert_eq!(stage.schedule(name).await.error_message, None);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_store_that_refuses_for_a_while_is_caught_up_with() {
    let stage = Stage::set().await;
    stage.set_schedule(every_second("often")).await;
    let worker = Working::start(&stage.executor);
    stage.reaches("often", 1).await;
    stage.fresh.close("programs_schedules");
    let (count, closed) = (
        stage.count("often").await,
        stage.schedule("often").await.last_slot,
    );
    until("two slots are missed", async || {
        let next = stage.schedule("often").await.next;
        next.first()
            > closed
                .map(|slot| executor::Timestamp::from_millis(slot.as_millis() + 2000))
                .as_ref()
    })
    .await;
    assert_eq!(stage.count("often").await, count);
    stage.fresh.reopen("programs_schedules");
    stage.reaches("often", count + 3).await;
    worker.stop().await;
    assert_dense(&stage.started().await["often"]);
}

#[tokio::test]
async fn it_is_run_now_without_a_slot() {
    let stage = Stage::set().await;
    stage
        .set_schedule(Schedule::new("tick", "@yearly").argument("label", "now"))
        .await;
    let schedules = stage.executor.schedules();
    schedules.pause("tick").await.expect("paused");
    let run_id = schedules.run_now("tick").await.expect("started");
    let ended = stage
        .executor
        .work_until_ended([&run_id])
        .await
        .expect("worked");
    assert_eq!(ended[0].outputs["see"], "now");
    assert_eq!(ended[0].attributes["schedule"], "tick");
    assert_eq!(*stage.seen.lock().expect("whole"), [None]);
    assert_eq!(stage.schedule("tick").await.last_slot, None);
    let error = schedules.run_now("tock").await.expect_err("there is none");
    assert_eq!(error.kind(), executor::ErrorKind::NotFound);
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused() {
    let stage = Stage::set().await;
    for (schedule, reason) in [
        (Schedule::new("tick", "0 3 * *"), "is no cron line"),
        (Schedule::new("tick", "0 3 31 2 *"), "never comes"),
        (
            Schedule::new("tick", "@daily").timezone("Mars"),
            "no time zone \"Mars\"",
        ),
        (
            Schedule::new("tack", "@daily"),
            "no program is named \"tack\"; did you mean \"tick\"?",
        ),
        (
            Schedule::new("tick", "@daily").argument("lable", 1),
            "has no argument \"lable\"",
        ),
        (
            Schedule::new("tick", "@daily").argument("label", 1),
            "the argument \"label\"",
        ),
        (
            Schedule::new("tick", "@daily").argument("label", "\0"),
            "\\u0000",
        ),
        (
            Schedule::new("tick", "@daily").named(""),
            "has 1 to 255 bytes",
        ),
    ] {
        let refused = stage.executor.schedules().set(schedule).await;
        let refused = refused.expect_err(reason).to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    assert!(
        stage
            .executor
            .schedules()
            .list()
            .await
            .expect("read")
            .is_empty()
    );
}

/// Two workers whose clocks are an hour apart fill the same slots: no clock of theirs is read.
#[test]
fn no_clock_of_a_worker_goes_into_a_slot() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../executor/src");
    let mut files = vec![
        src.join("worker/scheduler.rs"),
        src.join("store/sql/schedules.rs"),
    ];
    for file in std::fs::read_dir(src.join("schedule")).expect("a folder") {
        files.push(file.expect("a file").path());
    }
    assert!(files.len() >= 7, "the sources are there: {files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        for clock in [
            "SystemTime::now",
            "Timestamp::now",
            "Zoned::now",
            "Utc::now",
            "Local::now",
        ] {
            assert!(!text.contains(clock), "{clock} in {}", file.display());
        }
    }
}
