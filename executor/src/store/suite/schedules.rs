//! What every store must do with schedules.

use std::collections::HashSet;

use super::Stage;
use crate::{
    RunId,
    program::Options,
    schedule::{CatchUp, ScheduleSource, StoredSchedule},
    store::{Declared, Filling, Filter, NewProgram, SetSchedule, WorkerId},
    time::Timestamp,
};

impl Stage {
    async fn set_schedule(&self, name: &str, cron: &str) {
        let schedule = SetSchedule {
            name: name.to_owned(),
            program: "report".to_owned(),
            arguments: r#"{"title": "it's \"one\""}"#.to_owned(),
            cron: cron.to_owned(),
            timezone: "UTC".to_owned(),
            catch_up: CatchUp::All,
        };
        self.store.set_schedule(schedule).await.expect("set");
    }

    async fn schedule(&self, name: &str) -> StoredSchedule {
        let all = self.store.schedules().await.expect("read");
        let mut named = all.into_iter().filter(|schedule| schedule.name == name);
        named.next().expect("it is there")
    }

    /// Fills these slots, which are the programs' names.
    async fn fill(&self, schedule: &StoredSchedule, slots: &[i64]) -> bool {
        let filling = Filling {
            schedule: schedule.clone(),
            last_slot: Timestamp::from_millis(slots[slots.len() - 1]),
            programs: slots.iter().map(|slot| program(*slot)).collect(),
        };
        self.store.fill_slots(filling).await.expect("reached")
    }

    async fn names(&self) -> Vec<String> {
        let all = self.store.list(Filter::new().limit(20_000)).await;
        all.expect("read")
            .into_iter()
            .filter_map(|program| program.name)
            .collect()
    }

    async fn declare(&self, worker: WorkerId, cron: &'static str) {
        let declared = Declared {
            name: "nightly",
            cron,
            timezone: "UTC",
            catch_up: CatchUp::Last,
        };
        let declaring = self.store.declare_schedules(worker, vec![declared]);
        declaring.await.expect("declared");
    }

    async fn cron(&self) -> String {
        self.schedule("nightly").await.cron
    }
}

fn program(slot: i64) -> NewProgram {
    let name = Some(slot.to_string().into());
    super::new_program(
        &["a"],
        Options {
            name,
            ..Options::default()
        },
    )
}

/// By a clock of our own that goes from slot to slot.
pub(in crate::store) async fn eight_workers_fill_each_of_ten_thousand_slots_once(stage: Stage) {
    const SLOTS: i64 = 10_000;
    stage.set_schedule("race", "* * * * * *").await;
    let stage = std::sync::Arc::new(stage);
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let stage = std::sync::Arc::clone(&stage);
            tokio::spawn(async move {
                let mut filled = 0;
                loop {
                    let schedule = stage.schedule("race").await;
                    let next = schedule.last_slot.map_or(1, |slot| slot.as_millis() + 1);
                    if next > SLOTS {
                        return filled;
                    }
                    let last = SLOTS.min(next + fastrand::i64(0..30));
                    let slots: Vec<_> = (next..=last).collect();
                    if stage.fill(&schedule, &slots).await {
                        filled += 1;
                    }
                }
            })
        })
        .collect();
    let mut shares = Vec::new();
    for worker in workers {
        shares.push(worker.await.expect("no panic"));
    }
    let names = stage.names().await;
    let distinct: HashSet<&String> = names.iter().collect();
    assert_eq!(
        (names.len(), distinct.len()),
        (10_000, 10_000),
        "{shares:?}"
    );
    let last = stage.schedule("race").await;
    assert_eq!(last.last_slot, Some(Timestamp::from_millis(SLOTS)));
    assert!(
        shares.iter().filter(|share| **share > 0).count() > 1,
        "{shares:?}"
    );
}

/// What a worker thinks of the time is of no account.
pub(in crate::store) async fn a_slot_ahead_of_the_databases_clock_is_not_filled(stage: Stage) {
    stage.set_schedule("hourly", "0 * * * *").await;
    let schedule = stage.schedule("hourly").await;
    let now = schedule.now.as_millis();
    assert!(!stage.fill(&schedule, &[now + 3_600_000]).await);
    assert!(stage.names().await.is_empty());
    assert!(stage.fill(&schedule, &[now]).await);
    let filled = stage.schedule("hourly").await;
    assert_eq!(filled.last_slot, Some(schedule.now));
    let run_id: RunId = filled.last_run_id.expect("it was started");
    let program = stage.store.get(run_id).await.expect("read").expect("there");
    assert_eq!(program.name, Some(now.to_string()));
}

pub(in crate::store) async fn a_schedule_that_was_changed_fills_no_slot_of_before(stage: Stage) {
    stage.set_schedule("hourly", "0 * * * *").await;
    let read = stage.schedule("hourly").await;
    let store = &stage.store;
    let paused = |paused| store.set_schedule_paused("hourly".to_owned(), paused);
    assert!(paused(true).await.expect("paused"));
    assert!(!paused(true).await.expect("paused already"));
    assert!(!stage.fill(&read, &[1]).await, "it is paused");
    // A change within one millisecond is none to the fence: the clock has to go on.
    while stage.schedule("hourly").await.now <= read.changed_at {}
    assert!(paused(false).await.expect("resumed"));
    let resumed = stage.schedule("hourly").await;
    assert!(resumed.changed_at > read.changed_at);
    assert!(
        !stage.fill(&read, &[1]).await,
        "what passed meanwhile is not missed"
    );
    while stage.schedule("hourly").await.now <= resumed.changed_at {}
    stage.set_schedule("hourly", "30 * * * *").await;
    assert!(!stage.fill(&resumed, &[1]).await, "it was changed");
    let changed = stage.schedule("hourly").await;
    assert_eq!(
        (&*changed.cron, changed.source),
        ("30 * * * *", ScheduleSource::Runtime)
    );
    assert_eq!(changed.arguments, r#"{"title": "it's \"one\""}"#);
    assert!(stage.fill(&changed, &[1]).await);
    assert!(!stage.fill(&changed, &[1]).await, "it is filled");
    assert!(
        store
            .delete_schedule("hourly".to_owned())
            .await
            .expect("deleted")
    );
    assert!(
        !store
            .delete_schedule("hourly".to_owned())
            .await
            .expect("it is gone")
    );
    let gone = stage.schedule_is_gone("hourly").await;
    assert!(gone);
    assert_eq!(stage.names().await, ["1"]);
}

impl Stage {
    async fn schedule_is_gone(&self, name: &str) -> bool {
        let all = self.store.schedules().await.expect("read");
        all.iter().all(|schedule| schedule.name != name)
    }
}

/// A program that can't be stored leaves its slot to be filled.
pub(in crate::store) async fn a_slot_and_its_program_are_stored_together(stage: Stage) {
    stage.set_schedule("hourly", "0 * * * *").await;
    let schedule = stage.schedule("hourly").await;
    let mut unstorable = program(2);
    unstorable.program.attributes = "no JSON, \0".to_owned();
    let filling = Filling {
        schedule: schedule.clone(),
        last_slot: Timestamp::from_millis(2),
        programs: vec![program(1), unstorable],
    };
    let refused = stage.store.fill_slots(filling).await;
    // SQLite holds any text.
    if refused.is_err() {
        assert_eq!(stage.schedule("hourly").await.last_slot, None);
        assert!(stage.names().await.is_empty());
        let note = "it could not be made: 'x'".to_owned();
        let noting = stage
            .store
            .note_schedule_error(schedule.clone(), note.clone());
        noting.await.expect("noted");
        assert_eq!(stage.schedule("hourly").await.error_message, Some(note));
        assert!(stage.fill(&schedule, &[2]).await);
        assert_eq!(stage.schedule("hourly").await.error_message, None);
    }
}

pub(in crate::store) async fn of_two_binaries_the_first_is_heeded_while_it_lives(stage: Stage) {
    let [old, new] = [WorkerId::new(), WorkerId::new()];
    stage.register(old).await;
    stage.declare(old, "0 1 * * *").await;
    let declared = stage.schedule("nightly").await;
    assert_eq!(
        (&*declared.cron, declared.source),
        ("0 1 * * *", ScheduleSource::Code)
    );
    // The first of a deploy, and an old one that starts again behind it: they don't take turns.
    stage.register(new).await;
    for _ in 0..2 {
        stage.declare(new, "0 2 * * *").await;
        assert_eq!(stage.cron().await, "0 1 * * *");
        stage.declare(old, "0 1 * * *").await;
    }
    assert_eq!(
        stage.schedule("nightly").await.changed_at,
        declared.changed_at
    );
    stage.store.deregister(old).await.expect("gone");
    stage.declare(new, "0 2 * * *").await;
    assert_eq!(stage.cron().await, "0 2 * * *");
    // The other way round, it is the same: a deploy that is taken back.
    stage.register(old).await;
    stage.declare(old, "0 1 * * *").await;
    assert_eq!(stage.cron().await, "0 2 * * *");
    stage.store.deregister(new).await.expect("gone");
    stage.declare(old, "0 1 * * *").await;
    assert_eq!(stage.cron().await, "0 1 * * *");
}

pub(in crate::store) async fn what_somebody_has_edited_stays(stage: Stage) {
    stage.declare(stage.worker, "0 1 * * *").await;
    stage.set_schedule("nightly", "0 9 * * *").await;
    let next = WorkerId::new();
    stage.store.deregister(stage.worker).await.expect("gone");
    stage.register(next).await;
    stage.declare(next, "0 2 * * *").await;
    let edited = stage.schedule("nightly").await;
    assert_eq!(
        (&*edited.cron, edited.source),
        ("0 9 * * *", ScheduleSource::Code)
    );
    assert!(edited.edited_at.is_some());
    // Deleted, it is the code's again; a pause stays over what the code says.
    let deleting = stage.store.delete_schedule("nightly".to_owned());
    assert!(deleting.await.expect("deleted"));
    stage.declare(next, "0 2 * * *").await;
    let pausing = stage.store.set_schedule_paused("nightly".to_owned(), true);
    assert!(pausing.await.expect("paused"));
    stage.store.deregister(next).await.expect("gone");
    stage.register(stage.worker).await;
    stage.declare(stage.worker, "0 3 * * *").await;
    let paused = stage.schedule("nightly").await;
    assert_eq!((&*paused.cron, paused.edited_at), ("0 3 * * *", None));
    assert!(paused.paused_at.is_some());
}
