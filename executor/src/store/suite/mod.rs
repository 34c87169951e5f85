//! What every store must do: one suite, run over each by [`exercise`].
//!
//! Each test gets a fresh store. They work on the port alone, as the engine does.

mod bulk;
mod claims;
#[cfg(feature = "rabbitmq")]
mod interop;
mod leases;
mod limits;
mod outside;
mod reports;
mod schedules;
mod unique;
mod waits;
mod writes;

use std::{sync::Arc, time::Duration};

#[cfg(feature = "rabbitmq")]
pub(in crate::store) use self::interop::*;
pub(in crate::store) use self::{
    bulk::*, claims::*, leases::*, limits::*, outside::*, reports::*, schedules::*, unique::*,
    waits::*, writes::*,
};
use super::{
    Change, ClaimRequest, ClaimedProgram, Failure, Fence, Held, KnownJobs, NewProgram, ProgramInfo,
    ProgramState, Pulse, StepWrite, Store, WorkerId, WorkerRecord, Written,
};
use crate::{
    RunId,
    config::Share,
    program::{Checked, Options},
};

/// The tests of the suite, each as a test of its own over the store that `$fresh` opens.
macro_rules! exercise {
    ($fresh:path) => {
        $crate::store::suite::exercise!(@each $fresh:
            a_claim_takes_each_program_once, a_claim_goes_by_order_and_room,
            each_queue_has_its_own_slots, what_keeps_a_queue_from_its_slots_is_told,
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
            a_body_whose_program_was_taken_away_twice_is_known_when_it_ends,
            a_claim_whose_lease_ran_out_is_taken_away,
            a_lease_that_ends_far_ahead_counts_as_one_from_first_sight,
            a_receivers_lease_may_be_longer_than_any_workers,
            a_place_of_the_dead_that_ends_far_ahead_counts_as_one_lease,
            one_program_of_a_key_in_a_time, a_key_is_free_when_its_time_is_over,
            a_key_is_kept_only_by_what_is_stored, keys_are_kept_in_whatever_order_they_come,
            many_of_the_same_keys_are_stored_once_each,
            one_that_waits_takes_the_new_data, one_that_has_begun_keeps_its_data,
            a_late_worker_does_nothing_to_new_data, one_of_many_that_replace_is_left, children_keep_to_their_keys,
            programs_are_pruned_by_state_and_queue, a_filter_means_the_same_everywhere,
            a_text_in_a_filter_is_only_a_text, many_are_cancelled_batch_by_batch,
            a_retry_of_many_leaves_taken_keys, what_no_longer_matches_is_left_alone,
            a_locked_row_holds_up_no_batch, a_report_may_delete,
            eight_workers_fill_each_of_ten_thousand_slots_once,
            a_slot_ahead_of_the_databases_clock_is_not_filled,
            a_schedule_that_was_changed_fills_no_slot_of_before,
            a_slot_and_its_program_are_stored_together,
            of_two_binaries_the_first_is_heeded_while_it_lives, what_somebody_has_edited_stays,
            a_place_that_has_ended_goes_to_another_and_never_back,
            who_stands_behind_a_full_key_is_found_at_once, a_limit_of_an_unknown_job_wakes_nobody,
            large_programs_are_let_in_by_the_byte, limited_jobs_take_no_more_than_a_queue_has_slots,
            a_program_waits_for_its_child, a_wait_ends_however_the_child_does,
            reports_on_a_child_let_its_parent_go_on, a_wait_that_was_taken_away_means_nothing,
            a_stopped_program_starts_nothing_to_wait_for, who_has_the_key_is_waited_for,
            stores_agree_with_the_model,
        );
        #[cfg(feature = "rabbitmq")]
        $crate::store::suite::exercise!(@each $fresh:
            a_message_brings_its_program_into_the_store, a_message_counts_before_its_confirm_does,
            a_hand_over_gives_a_program_to_the_broker, a_taker_ends_the_claim_of_who_hands_over,
            a_hand_over_that_was_begun_is_taken_up, only_what_the_broker_has_lost_is_adopted,
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
pub(in crate::store) use exercise;

/// The URL of the server that this variable names. In CI it must be there; elsewhere the test is
/// left out, and `scripts/test` says so at its end.
#[cfg(any(feature = "server", feature = "rabbitmq"))]
#[allow(clippy::print_stdout, reason = "it is shown where a test fails")]
pub(crate) fn server(variable: &str) -> Option<String> {
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
pub(in crate::store) struct Stage {
    store: Arc<dyn Store>,
    worker: WorkerId,
}

impl Stage {
    pub(in crate::store) async fn new(store: Arc<dyn Store>) -> Self {
        store.migrate().await.expect("tables");
        let stage = Self {
            store,
            worker: WorkerId::new(),
        };
        stage.register(stage.worker).await;
        stage
    }

    async fn register(&self, id: WorkerId) {
        self.register_with(id, LEASE).await;
    }

    async fn register_with(&self, id: WorkerId, lease: Duration) {
        let record = WorkerRecord {
            id,
            host: "test".to_owned(),
            pid: 1,
            shares: vec![Share::new(["default"], 10)],
            lease,
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
            shares: vec![Share::new(["default"], 10)],
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

pub(crate) fn new_program(jobs: &[&'static str], options: Options) -> NewProgram {
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

pub(in crate::store) async fn stores_agree_with_the_model(stage: Stage) {
    stage.store.deregister(stage.worker).await.expect("reached");
    super::differential::stores_agree_with_the_model(stage.store).await;
}
