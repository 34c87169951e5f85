//! What every store must do: one suite, run over each by [`exercise`].
//!
//! Each test gets a fresh store. They work on the port alone, as the engine does.

mod schedules;

use std::{sync::Arc, time::Duration};

use serde_json::json;

pub(super) use self::schedules::*;
use super::{
    Change, ClaimRequest, ClaimedProgram, Failure, Fence, Filter, Held, KnownJobs, NewProgram,
    ProgramInfo, ProgramState, Pulse, StepWrite, Store, Target, WorkerId, WorkerRecord, Written,
};
use crate::{
    ErrorKind, HandOffToken, RunId,
    program::{Checked, Options, Start},
};

/// The tests of the suite, each as a test of its own over the store that `$fresh` opens.
macro_rules! exercise {
    ($fresh:path) => {
        $crate::store::suite::exercise!(@each $fresh:
            a_claim_takes_each_program_once, a_claim_goes_by_order_and_room,
            a_claim_is_bounded_by_bytes, a_claim_leaves_what_is_not_due,
            steps_are_recorded_behind_the_fence, a_write_that_was_applied_is_recognised,
            an_expired_lease_that_nobody_took_still_commits, a_taken_program_fences_the_old_claim,
            a_takeover_counts_as_a_crash, the_last_crash_ends_the_program,
            a_heartbeat_tells_what_was_stopped_or_lost, a_late_heartbeat_renews_nothing,
            a_step_that_ends_on_a_stopped_program_is_recorded, retries_and_errors_are_kept,
            a_snooze_keeps_the_retries, children_come_with_the_commit,
            children_of_a_failed_attempt_do_not, a_hand_off_waits_for_its_report,
            a_report_may_come_early, a_report_for_another_step_is_refused,
            a_hand_off_comes_back_by_itself, cancel_and_retry, a_taken_key_refuses_a_retry,
            a_unique_key_is_free_when_its_program_ends, pausing_closes_a_queue,
            attributes_merge_and_keep_null, only_terminal_programs_are_pruned,
            lists_filter_by_state, the_end_of_a_worker_gives_its_programs_back,
            a_claim_that_was_taken_away_waits_for_the_old_body,
            a_body_that_has_ended_is_waited_for_no_longer,
            stores_agree_with_the_model,
            eight_workers_fill_each_of_ten_thousand_slots_once,
            a_slot_ahead_of_the_databases_clock_is_not_filled,
            a_schedule_that_was_changed_fills_no_slot_of_before,
            a_slot_and_its_program_are_stored_together,
            of_two_binaries_the_first_is_heeded_while_it_lives, what_somebody_has_edited_stays,
        );
    };
    (@each $fresh:path: $($test:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                let Some((_keep, store)) = $fresh().await else { return };
                $crate::store::suite::$test($crate::store::suite::Stage::new(store).await).await;
            }
        )*
    };
}
pub(super) use exercise;

/// The URL of the server that this variable names. In CI it must be there; elsewhere the test is
/// left out, and `scripts/test` says so at its end.
#[cfg(feature = "server")]
#[allow(clippy::print_stdout, reason = "it is shown where a test fails")]
pub(super) fn server(variable: &str) -> Option<String> {
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
    assert!(
        url.is_some() || std::env::var_os("CI").is_none(),
        "{variable} is not set: start the server by scripts/services"
    );
    if url.is_none() {
        println!("left out: {variable} is not set");
    }
    url
}

const LEASE: Duration = Duration::from_secs(60);

/// A store with a worker, and the words to use them by.
pub(super) struct Stage {
    store: Arc<dyn Store>,
    worker: WorkerId,
}

impl Stage {
    pub(super) async fn new(store: Arc<dyn Store>) -> Self {
        store.migrate().await.expect("tables");
        let stage = Self {
            store,
            worker: WorkerId::new(),
        };
        stage.register(stage.worker).await;
        stage
    }

    async fn register(&self, id: WorkerId) {
        let queues = vec!["default".to_owned()];
        let record = WorkerRecord {
            id,
            host: "test".to_owned(),
            pid: 1,
            queues,
            slots: 10,
            lease: LEASE,
        };
        self.store.register(record).await.expect("registered");
    }

    async fn create(&self, jobs: &[&'static str]) -> RunId {
        self.create_with(jobs, Options::default())
            .await
            .expect("stored")
    }

    async fn create_with(&self, jobs: &[&'static str], options: Options) -> crate::Result<RunId> {
        let created = self
            .store
            .create(vec![new_program(jobs, options)])
            .await
            .expect("reached");
        let created = created.into_iter().next().expect("one answer")?;
        Ok(created.run_id)
    }

    fn request(&self) -> ClaimRequest {
        ClaimRequest {
            worker: self.worker,
            queues: vec!["default".to_owned()],
            slots: 10,
            bytes: 1 << 20,
            lease: LEASE,
            max_crashes: 3,
            jobs: Arc::new(KnownJobs {
                names: ["a", "b", "c", "limited"].into_iter().collect(),
                others: false,
            }),
            room: Vec::new(),
            running: Vec::new(),
            suspects: 1,
            floors: Vec::new(),
        }
    }

    async fn claim_with(&self, request: ClaimRequest) -> Vec<ClaimedProgram> {
        self.store.claim(request).await.expect("claimed").programs
    }

    async fn claim(&self) -> Vec<ClaimedProgram> {
        self.claim_with(self.request()).await
    }

    /// The one program that is due.
    async fn claim_one(&self) -> ClaimedProgram {
        let mut claimed = self.claim().await;
        assert_eq!(claimed.len(), 1, "one is due: {claimed:?}");
        claimed.remove(0)
    }

    /// Claims with a lease that is over at once.
    async fn claim_briefly(&self) -> ClaimedProgram {
        let request = ClaimRequest {
            lease: Duration::ZERO,
            ..self.request()
        };
        self.claim_with(request).await.remove(0)
    }

    /// Makes available what is due, and takes nothing: a claim that knows no job.
    async fn promote_only(&self) {
        let jobs = Arc::new(KnownJobs {
            names: Default::default(),
            others: false,
        });
        let claimed = self
            .claim_with(ClaimRequest {
                jobs,
                ..self.request()
            })
            .await;
        assert!(claimed.is_empty());
    }

    async fn write(&self, fence: Fence, change: Change) -> Written {
        self.write_all(StepWrite {
            fence,
            change,
            children: Vec::new(),
            ordinal: 0,
            lease: LEASE,
        })
        .await
    }

    async fn write_all(&self, write: StepWrite) -> Written {
        self.store
            .commit(Arc::new(vec![write]))
            .await
            .expect("reached")
            .remove(0)
            .expect("nobody holds its row")
    }

    async fn get(&self, run_id: &RunId) -> ProgramInfo {
        self.store
            .get(run_id.clone())
            .await
            .expect("read")
            .expect("there")
    }

    async fn state(&self, run_id: &RunId) -> ProgramState {
        self.get(run_id).await.state
    }

    async fn beat(&self, held: Held) -> Pulse {
        self.store
            .heartbeat(self.worker, LEASE, vec![held])
            .await
            .expect("reached")[0]
    }
}

fn new_program(jobs: &[&'static str], options: Options) -> NewProgram {
    let program = Checked {
        jobs: jobs.iter().map(|job| (*job).into()).collect(),
        program_data: "{}".to_owned(),
        job_data: "{}".to_owned(),
        attributes: "{}".to_owned(),
        options,
    };
    NewProgram {
        run_id: RunId::random(),
        program,
        parent: None,
    }
}

fn after(fence: Fence) -> Fence {
    Fence {
        rev: fence.rev + 1,
        ..fence
    }
}

fn held(fence: Fence) -> Held {
    Held {
        id: fence.id,
        token: fence.token,
    }
}

fn advance(next: &str, outputs: Option<&str>) -> Change {
    Change::Advance {
        next: next.to_owned(),
        outputs: outputs.map(str::to_owned),
    }
}

fn failure(message: &str) -> Failure {
    Failure {
        step: 0,
        job: "a".to_owned(),
        attempt: 1,
        message: message.to_owned(),
    }
}

fn retry(after: Duration) -> Change {
    Change::Retry {
        failure: failure("busy"),
        after,
    }
}

pub(super) async fn a_claim_takes_each_program_once(stage: Stage) {
    let programs = (0..200)
        .map(|_| new_program(&["a"], Options::default()))
        .collect();
    stage.store.create(programs).await.expect("stored");
    let stage = Arc::new(stage);
    let claimers = (0..8).map(|_| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let claimed = stage.claim().await;
                if claimed.is_empty() {
                    return taken;
                }
                taken.extend(claimed.into_iter().map(|program| program.run_id));
            }
        })
    });
    let mut taken = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        taken.extend(claimer.await.expect("no panic"));
    }
    assert_eq!(taken.len(), 200);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 200, "no program twice");
}

pub(super) async fn a_claim_goes_by_order_and_room(stage: Stage) {
    let with = |priority| Options {
        priority,
        ..Options::default()
    };
    let late = stage.create_with(&["a"], with(1)).await.expect("stored");
    let early = stage.create_with(&["b"], with(-1)).await.expect("stored");
    let middle = stage.create(&["a"]).await;
    stage
        .create_with(&["limited"], with(-9))
        .await
        .expect("stored");
    stage
        .create_with(&["unknown"], with(-9))
        .await
        .expect("stored");
    let request = ClaimRequest {
        room: vec![("limited", 0)],
        ..stage.request()
    };
    let claimed = stage.claim_with(request).await;
    let order: Vec<_> = claimed.into_iter().map(|program| program.run_id).collect();
    assert_eq!(order, [early, middle, late]);
}

pub(super) async fn a_claim_is_bounded_by_bytes(stage: Stage) {
    for _ in 0..3 {
        stage.create(&["a"]).await;
    }
    let claimed = stage
        .store
        .claim(ClaimRequest {
            bytes: 1,
            ..stage.request()
        })
        .await;
    let claimed = claimed.expect("claimed");
    assert_eq!(claimed.programs.len(), 1, "one is always let in");
    assert!(claimed.more);
}

pub(super) async fn a_claim_leaves_what_is_not_due(stage: Stage) {
    let start = Start::After(Duration::from_secs(3600));
    let later = stage
        .create_with(
            &["a"],
            Options {
                start,
                ..Options::default()
            },
        )
        .await;
    let later = later.expect("stored");
    let claimed = stage.store.claim(stage.request()).await.expect("claimed");
    assert!(claimed.programs.is_empty());
    let next = claimed.next_due.expect("something is scheduled");
    assert!(
        next > Duration::from_secs(3590) && next <= Duration::from_secs(3600),
        "{next:?}"
    );
    assert_eq!(stage.state(&later).await, ProgramState::Scheduled);
    stage
        .store
        .reschedule(later.clone(), crate::Timestamp::from_millis(0))
        .await
        .expect("there");
    assert_eq!(stage.claim_one().await.run_id, later);
}

pub(super) async fn steps_are_recorded_behind_the_fence(stage: Stage) {
    let run_id = stage.create(&["a", "b", "c"]).await;
    let first = stage.claim_one().await.fence;
    assert_eq!(
        stage.write(first, advance("b", Some(r#"{"a":1}"#))).await,
        Written::Committed
    );
    let program = stage.get(&run_id).await;
    assert_eq!(
        (program.state, program.step, program.job()),
        (ProgramState::Running, 1, Some("b"))
    );
    assert_eq!(program.outputs, json!({"a": 1}));
    let release = Change::AdvanceAndRelease {
        next: "c".to_owned(),
        outputs: None,
    };
    assert_eq!(stage.write(after(first), release).await, Written::Committed);
    assert_eq!(stage.state(&run_id).await, ProgramState::Available);
    let second = stage.claim_one().await;
    assert_eq!((second.step, second.fence.token), (2, first.token + 1));
    let finish = Change::Finish { outputs: None };
    assert_eq!(stage.write(second.fence, finish).await, Written::Committed);
    let program = stage.get(&run_id).await;
    assert_eq!((program.state, program.step), (ProgramState::Finished, 3));
    assert_eq!(
        program.outputs,
        json!({"a": 1}),
        "no output leaves the others"
    );
}

pub(super) async fn a_write_that_was_applied_is_recognised(stage: Stage) {
    let run_id = stage.create(&["a", "b", "c"]).await;
    let fence = stage.claim_one().await.fence;
    for _ in 0..2 {
        assert_eq!(
            stage.write(fence, advance("b", None)).await,
            Written::Committed
        );
    }
    assert_eq!(stage.get(&run_id).await.step, 1, "sent twice, applied once");
    assert_eq!(
        stage.write(after(fence), advance("c", None)).await,
        Written::Committed
    );
    // Delivered late, when another write has come after it.
    assert_eq!(
        stage.write(fence, advance("b", None)).await,
        Written::LeaseLost
    );
    assert_eq!(stage.get(&run_id).await.step, 2);
}

pub(super) async fn an_expired_lease_that_nobody_took_still_commits(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let fence = stage.claim_briefly().await.fence;
    stage.promote_only().await;
    assert_eq!(stage.state(&run_id).await, ProgramState::Available);
    assert_eq!(
        stage.write(fence, advance("b", None)).await,
        Written::Committed
    );
    let program = stage.get(&run_id).await;
    assert_eq!(
        (program.state, program.step, program.crashes),
        (ProgramState::Running, 1, 0)
    );
    assert!(
        stage.claim().await.is_empty(),
        "it is under its claim again"
    );
}

pub(super) async fn a_taken_program_fences_the_old_claim(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let old = stage.claim_briefly().await.fence;
    let new = stage.claim_one().await.fence;
    assert_eq!(new.token, old.token + 1);
    let save = |text: &str| Change::Save {
        job_data: text.to_owned(),
    };
    assert_eq!(
        stage.write(old, save(r#"{"a":{"page":9}}"#)).await,
        Written::LeaseLost
    );
    assert_eq!(
        stage.write(old, advance("b", None)).await,
        Written::LeaseLost
    );
    assert_eq!(stage.write(old, Change::GiveBack).await, Written::LeaseLost);
    let program = stage.get(&run_id).await;
    assert_eq!((program.step, &program.job_data), (0, &json!({})));
    assert_eq!(
        stage.write(new, save(r#"{"a":{"page":1}}"#)).await,
        Written::Committed
    );
    assert_eq!(stage.get(&run_id).await.job_data, json!({"a": {"page": 1}}));
}

pub(super) async fn a_takeover_counts_as_a_crash(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    stage.claim_briefly().await;
    let fence = stage.claim_one().await.fence;
    assert_eq!(stage.get(&run_id).await.crashes, 1);
    stage.write(fence, advance("b", None)).await;
    assert_eq!(stage.get(&run_id).await.crashes, 0, "any step resets it");
    stage.write(after(fence), Change::GiveBack).await;
    stage.claim_one().await;
    assert_eq!(
        stage.get(&run_id).await.crashes,
        0,
        "given back is no crash"
    );
}

pub(super) async fn the_last_crash_ends_the_program(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    for _ in 0..3 {
        stage.claim_briefly().await;
    }
    let claimed = stage.store.claim(stage.request()).await.expect("claimed");
    assert!(claimed.programs.is_empty());
    assert_eq!(claimed.killed.len(), 1);
    assert_eq!(
        (&claimed.killed[0].run_id, &*claimed.killed[0].job),
        (&run_id, "a")
    );
    let program = stage.get(&run_id).await;
    assert_eq!(program.state, ProgramState::Errored);
    assert_eq!(
        program.error_message.as_deref(),
        Some("its worker died 3 times in this step")
    );
    assert_eq!(
        program.errors[0].error,
        "its worker died 3 times in this step"
    );
}

pub(super) async fn a_heartbeat_tells_what_was_stopped_or_lost(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_briefly().await.fence;
    stage.promote_only().await;
    assert_eq!(stage.beat(held(fence)).await, Pulse::Alive);
    assert!(
        stage.claim().await.is_empty(),
        "a renewal is valid even after the end"
    );
    stage
        .store
        .cancel(run_id.clone(), "stop".to_owned())
        .await
        .expect("running");
    assert_eq!(stage.beat(held(fence)).await, Pulse::Stopped);
    stage.store.retry(run_id).await.expect("errored");
    assert_eq!(stage.beat(held(fence)).await, Pulse::Lost);
}

pub(super) async fn a_late_heartbeat_renews_nothing(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    stage.write(fence, retry(Duration::from_secs(3600))).await;
    assert_eq!(stage.beat(held(fence)).await, Pulse::Lost);
    assert_eq!(stage.state(&run_id).await, ProgramState::Scheduled);
}

pub(super) async fn a_step_that_ends_on_a_stopped_program_is_recorded(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let fence = stage.claim_one().await.fence;
    stage
        .store
        .cancel(run_id.clone(), "by hand".to_owned())
        .await
        .expect("running");
    let save = Change::Save {
        job_data: r#"{"a":{"page":1}}"#.to_owned(),
    };
    assert_eq!(stage.write(fence, save).await, Written::Stopped);
    let outputs = Some(r#"{"a":1}"#);
    assert_eq!(
        stage.write(after(fence), advance("b", outputs)).await,
        Written::Stopped
    );
    let program = stage.get(&run_id).await;
    assert_eq!((program.state, program.step), (ProgramState::Errored, 1));
    assert_eq!(program.error_message.as_deref(), Some("by hand"));
    assert_eq!(
        (&program.outputs, &program.job_data["a"]["page"]),
        (&json!({"a": 1}), &json!(1))
    );
    assert_eq!(program.lease_until, None, "the lease is given back");
}

pub(super) async fn retries_and_errors_are_kept(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    for number in 1..=25 {
        let fence = stage.claim_one().await.fence;
        assert_eq!(
            stage.write(fence, retry(Duration::ZERO)).await,
            Written::Committed
        );
        assert_eq!(stage.get(&run_id).await.step_retry_count, number);
    }
    let fence = stage.claim_one().await.fence;
    let huge = "x".repeat(10_000);
    stage
        .write(
            fence,
            Change::Fail {
                failure: failure(&huge),
            },
        )
        .await;
    let program = stage.get(&run_id).await;
    assert_eq!(program.state, ProgramState::Errored);
    assert_eq!(program.error_message.as_deref(), Some(&*huge));
    assert_eq!(program.errors.len(), 20, "the last 20");
    assert_eq!(program.errors[0].error, "busy");
    assert_eq!(program.errors[19].error.len(), 2048);
}

pub(super) async fn a_snooze_keeps_the_retries(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    let snooze = |secs| Change::Snooze {
        after: Duration::from_secs(secs),
    };
    assert_eq!(stage.write(fence, snooze(0)).await, Written::Committed);
    let fence = stage.claim_one().await.fence;
    assert_eq!(stage.write(fence, snooze(3600)).await, Written::Committed);
    let program = stage.get(&run_id).await;
    assert_eq!(
        (program.state, program.step_retry_count),
        (ProgramState::Scheduled, 0)
    );
    assert!(stage.claim().await.is_empty());
}

pub(super) async fn children_come_with_the_commit(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let fence = stage.claim_one().await.fence;
    let child = |ordinal| NewProgram {
        run_id: run_id.child(0, ordinal),
        parent: Some(run_id.clone()),
        ..new_program(&["c"], Options::default())
    };
    let write = |fence, change, children, ordinal| StepWrite {
        fence,
        change,
        children,
        ordinal,
        lease: LEASE,
    };
    let save = Change::Save {
        job_data: "{}".to_owned(),
    };
    let saved = stage.write_all(write(fence, save, vec![child(0)], 1)).await;
    assert_eq!(saved, Written::Committed);
    // The attempt dies here. The next one goes on behind the stored child, or meets it again.
    stage.write(after(fence), Change::GiveBack).await;
    let again = loop {
        let claimed = stage.claim().await;
        if let Some(parent) = claimed.into_iter().find(|program| program.run_id == run_id) {
            break parent;
        }
    };
    assert_eq!(again.ordinal, 1);
    let done = write(again.fence, advance("b", None), vec![child(0), child(1)], 2);
    assert_eq!(stage.write_all(done).await, Written::Committed);
    let children = stage.store.children(run_id.clone()).await.expect("read");
    assert_eq!(children, [run_id.child(0, 0), run_id.child(0, 1)]);
}

pub(super) async fn children_of_a_failed_attempt_do_not(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    let child = NewProgram {
        run_id: run_id.child(0, 0),
        parent: Some(run_id.clone()),
        ..new_program(&["c"], Options::default())
    };
    let change = retry(Duration::ZERO);
    stage
        .write_all(StepWrite {
            fence,
            change,
            children: vec![child],
            ordinal: 1,
            lease: LEASE,
        })
        .await;
    assert!(stage.store.children(run_id).await.expect("read").is_empty());
    assert_eq!(stage.claim_one().await.ordinal, 0);
}

fn hand_off(next: Option<&str>) -> Change {
    Change::HandOff {
        key: "a".to_owned(),
        next: next.map(str::to_owned),
    }
}

pub(super) async fn a_hand_off_waits_for_its_report(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let fence = stage.claim_one().await.fence;
    let token = HandOffToken::new(run_id.clone(), 0, fence.token);
    assert_eq!(
        stage.write(fence, hand_off(Some("b"))).await,
        Written::Committed
    );
    let program = stage.get(&run_id).await;
    assert_eq!(
        (program.state, program.available_at),
        (ProgramState::Waiting, None)
    );
    assert!(stage.claim().await.is_empty());
    let by_run_id = stage
        .store
        .complete(Target::RunId(run_id.clone()), None)
        .await;
    assert_eq!(by_run_id.expect_err("two jobs").kind(), ErrorKind::Conflict);
    let done = stage
        .store
        .complete(Target::Token(token), Some("7".to_owned()))
        .await;
    assert!(done.expect("it waits"));
    let claimed = stage.claim_one().await;
    let outputs: serde_json::Value = serde_json::from_str(&claimed.outputs).expect("JSON");
    assert_eq!((claimed.step, outputs), (1, json!({"a": 7})));
}

pub(super) async fn a_report_may_come_early(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    let token = HandOffToken::new(run_id.clone(), 0, fence.token);
    stage
        .store
        .complete(Target::Token(token), Some("7".to_owned()))
        .await
        .expect("it runs");
    assert_eq!(
        stage.state(&run_id).await,
        ProgramState::Running,
        "the job goes on"
    );
    assert_eq!(stage.write(fence, hand_off(None)).await, Written::Committed);
    let program = stage.get(&run_id).await;
    assert_eq!(
        (program.state, program.output()),
        (ProgramState::Finished, Some(&json!(7)))
    );
}

pub(super) async fn a_report_for_another_step_is_refused(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let fence = stage.claim_one().await.fence;
    let token = HandOffToken::new(run_id.clone(), 0, fence.token);
    stage.write(fence, advance("b", None)).await;
    let late = stage
        .store
        .complete(Target::Token(token.clone()), None)
        .await;
    assert!(
        late.expect_err("it is past")
            .to_string()
            .contains("at step 1")
    );
    let failed = stage.store.fail(Target::Token(token), "x".to_owned()).await;
    assert_eq!(failed.expect_err("it is past").kind(), ErrorKind::Conflict);
    assert_eq!(stage.state(&run_id).await, ProgramState::Running);
}

pub(super) async fn a_hand_off_comes_back_by_itself(stage: Stage) {
    let options = Options {
        retry_after: Some(Duration::ZERO),
        ..Options::default()
    };
    let run_id = stage.create_with(&["a"], options).await.expect("stored");
    let first = stage.claim_one().await.fence;
    let token = HandOffToken::new(run_id.clone(), 0, first.token);
    stage.write(first, hand_off(None)).await;
    let second = stage.claim_one().await.fence;
    // The first completion wins, and the attempt that runs meanwhile is fenced.
    stage
        .store
        .complete(Target::Token(token), None)
        .await
        .expect("its step");
    assert_eq!(stage.state(&run_id).await, ProgramState::Finished);
    let finish = Change::Finish { outputs: None };
    assert_eq!(stage.write(second, finish).await, Written::LeaseLost);
}

pub(super) async fn cancel_and_retry(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let store = &stage.store;
    assert!(
        !store
            .cancel("nobody".into(), "x".to_owned())
            .await
            .expect("reached")
    );
    let early = store
        .retry(run_id.clone())
        .await
        .expect_err("it has not ended");
    assert_eq!(early.kind(), ErrorKind::Conflict);
    let fence = stage.claim_one().await.fence;
    stage.write(fence, advance("b", None)).await;
    stage
        .write(
            after(fence),
            Change::Fail {
                failure: failure("broken"),
            },
        )
        .await;
    let again = store.cancel(run_id.clone(), "x".to_owned()).await;
    assert_eq!(again.expect_err("it has ended").kind(), ErrorKind::Conflict);
    assert!(store.retry(run_id.clone()).await.expect("errored"));
    let claimed = stage.claim_one().await;
    assert_eq!(
        (claimed.step, claimed.retry_count),
        (1, 0),
        "from the failed step"
    );
}

pub(super) async fn a_unique_key_is_free_when_its_program_ends(stage: Stage) {
    let options = || Options {
        unique_key: Some("k".into()),
        ..Options::default()
    };
    let first = stage.create_with(&["a"], options()).await.expect("stored");
    assert_eq!(
        stage
            .create_with(&["a"], options())
            .await
            .expect("answered"),
        first
    );
    stage
        .store
        .cancel(first.clone(), "x".to_owned())
        .await
        .expect("unfinished");
    assert_ne!(
        stage.create_with(&["a"], options()).await.expect("stored"),
        first
    );
}

pub(super) async fn a_taken_key_refuses_a_retry(stage: Stage) {
    let options = || Options {
        unique_key: Some("k".into()),
        ..Options::default()
    };
    let first = stage.create_with(&["a"], options()).await.expect("stored");
    stage
        .store
        .cancel(first.clone(), "x".to_owned())
        .await
        .expect("unfinished");
    let second = stage.create_with(&["a"], options()).await.expect("stored");
    let refused = stage
        .store
        .retry(first)
        .await
        .expect_err("the key is taken");
    assert!(refused.to_string().contains(second.as_str()), "{refused}");
}

pub(super) async fn pausing_closes_a_queue(stage: Stage) {
    stage.create(&["a"]).await;
    let set = |paused| stage.store.set_paused("default".to_owned(), paused);
    assert!(set(true).await.expect("reached"));
    assert!(!set(true).await.expect("reached"), "it was paused already");
    assert!(stage.claim().await.is_empty());
    assert!(stage.store.stats().await.expect("read").queues["default"].paused);
    assert!(set(false).await.expect("reached"));
    stage.claim_one().await;
}

pub(super) async fn attributes_merge_and_keep_null(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    for fields in [r#"{"a":1,"b":{"x":1}}"#, r#"{"a":null,"b":{"y":2}}"#] {
        assert!(
            stage
                .store
                .set_attributes(run_id.clone(), fields.to_owned())
                .await
                .expect("there")
        );
    }
    let attributes = stage.get(&run_id).await.attributes;
    assert_eq!(attributes, json!({"a": null, "b": {"y": 2}}));
}

pub(super) async fn only_terminal_programs_are_pruned(stage: Stage) {
    let waits = stage.create(&["limited"]).await;
    let ended = stage.create(&["a"]).await;
    stage
        .store
        .cancel(ended.clone(), "x".to_owned())
        .await
        .expect("unfinished");
    assert_eq!(
        stage
            .store
            .prune(Duration::from_secs(3600), 10)
            .await
            .expect("reached"),
        0
    );
    assert_eq!(
        stage
            .store
            .prune(Duration::ZERO, 10)
            .await
            .expect("reached"),
        1
    );
    assert!(stage.store.get(ended).await.expect("read").is_none());
    assert_eq!(stage.state(&waits).await, ProgramState::Available);
}

pub(super) async fn lists_filter_by_state(stage: Stage) {
    let start = Start::After(Duration::from_secs(3600));
    stage
        .create_with(
            &["a"],
            Options {
                start,
                ..Options::default()
            },
        )
        .await
        .expect("stored");
    let running = stage.create(&["a"]).await;
    stage.claim_one().await;
    let list = |filter| stage.store.list(filter);
    assert_eq!(list(Filter::new()).await.expect("read").len(), 2);
    let found = list(Filter::new().state(ProgramState::Running))
        .await
        .expect("read");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].run_id, running);
    let both = Filter::new()
        .state(ProgramState::Running)
        .state(ProgramState::Errored);
    assert_eq!(list(both).await.expect("read").len(), 1);
    assert!(
        list(Filter::new().queue("other"))
            .await
            .expect("read")
            .is_empty()
    );
    assert_eq!(
        list(Filter::new().job("a").limit(1))
            .await
            .expect("read")
            .len(),
        1
    );
    let stats = stage.store.stats().await.expect("read");
    assert_eq!(stats.states[&ProgramState::Scheduled], 1);
    assert_eq!(stats.states[&ProgramState::Running], 1);
}

pub(super) async fn a_claim_that_was_taken_away_waits_for_the_old_body(stage: Stage) {
    let now = crate::Timestamp::from_millis(0);
    let moved = stage.create(&["a"]).await;
    let failed = stage.create(&["a"]).await;
    assert_eq!(stage.claim().await.len(), 2);
    for _ in 0..2 {
        let done = stage.store.reschedule(moved.clone(), now).await;
        assert!(done.expect("it runs"));
    }
    let target = Target::RunId(failed.clone());
    stage
        .store
        .fail(target, "x".to_owned())
        .await
        .expect("it runs");
    assert!(stage.store.retry(failed).await.expect("errored"));
    assert!(stage.claim().await.is_empty(), "two bodies of one step");
}

pub(super) async fn a_body_that_has_ended_is_waited_for_no_longer(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    let now = crate::Timestamp::from_millis(0);
    let moved = stage.store.reschedule(run_id.clone(), now).await;
    assert!(moved.expect("it runs"));
    assert!(stage.claim().await.is_empty(), "its body still runs");
    let older = Fence {
        token: fence.token - 1,
        ..fence
    };
    for (ended, free) in [(older, false), (fence, true)] {
        assert_eq!(
            stage.write(ended, Change::GiveBack).await,
            Written::LeaseLost
        );
        assert_eq!(!stage.claim().await.is_empty(), free, "{ended:?}");
    }
}

pub(super) async fn stores_agree_with_the_model(stage: Stage) {
    stage.store.deregister(stage.worker).await.expect("reached");
    super::differential::stores_agree_with_the_model(stage.store).await;
}

pub(super) async fn the_end_of_a_worker_gives_its_programs_back(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    assert_eq!(
        stage.write(fence, Change::GiveBack).await,
        Written::Committed
    );
    stage.store.deregister(stage.worker).await.expect("reached");
    assert!(stage.store.workers().await.expect("read").is_empty());
    let next = Stage {
        store: Arc::clone(&stage.store),
        worker: WorkerId::new(),
    };
    next.register(next.worker).await;
    assert_eq!(next.claim_one().await.run_id, run_id);
}
