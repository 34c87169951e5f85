//! Limits over all workers.

use std::time::Duration;

use super::{LEASE, Stage, held, new_program};
use crate::{
    config::Share,
    job::GlobalLimit,
    program::Options,
    store::{Claimed, LimitedJob, LimitedRequest, WorkerId},
};

const ONE: GlobalLimit = GlobalLimit {
    concurrency: Some(1),
    rate: None,
    key: None,
};

const ONE_A_CUSTOMER: GlobalLimit = GlobalLimit {
    key: Some("customer"),
    ..ONE
};

impl Stage {
    fn limited(&self, job: &'static str, limit: GlobalLimit) -> LimitedRequest {
        LimitedRequest {
            worker: self.worker,
            shares: vec![Share::new(["default"], 10)],
            bytes: 1 << 20,
            lease: LEASE,
            grace: Duration::ZERO,
            jobs: vec![LimitedJob {
                name: job,
                room: 10,
                limit,
            }],
            suspects: 1,
            suspect_from: 3,
        }
    }

    async fn claim_limited(&self, request: &LimitedRequest) -> Claimed {
        let claimed = self.store.claim_limited(request.clone()).await;
        claimed.expect("claimed")
    }

    /// Programs at the job `a`, one behind the other.
    async fn create_of(&self, customer: &str, number: usize) {
        let program = || {
            let mut new = new_program(&["a"], Options::default());
            new.program.program_data = format!(r#"{{"customer": "{customer}"}}"#);
            new
        };
        let programs = (0..number).map(|_| program()).collect();
        let created = self.store.create(programs).await.expect("stored");
        assert!(created.iter().all(Result::is_ok));
    }
}

pub(in crate::store) async fn a_place_that_has_ended_goes_to_another_and_never_back(stage: Stage) {
    stage.create_of("one", 2).await;
    let brief = LimitedRequest {
        lease: Duration::from_millis(1),
        ..stage.limited("a", ONE)
    };
    let first = stage.claim_limited(&brief).await.programs.remove(0);
    let other = LimitedRequest {
        worker: WorkerId::new(),
        ..stage.limited("a", ONE)
    };
    let second = loop {
        if let Some(second) = stage.claim_limited(&other).await.programs.pop() {
            break second;
        }
    };
    assert_ne!(first.fence.id, second.fence.id);
    let extend = |worker| stage.store.extend_holds(worker, LEASE);
    assert_eq!(extend(stage.worker).await.expect("reached"), []);
    let kept = extend(other.worker).await.expect("reached");
    assert_eq!(kept, [held(second.fence)]);
    let none = stage.claim_limited(&stage.limited("a", ONE)).await;
    assert!(none.programs.is_empty(), "its place is taken");
}

/// As after a jump back of the database's clock (SEMANTICS §2.5). Those of the living are theirs to mend.
pub(in crate::store) async fn a_place_of_the_dead_that_ends_far_ahead_counts_as_one_lease(
    stage: Stage,
) {
    let day = Duration::from_secs(86_400);
    let request = |worker, job, lease| LimitedRequest {
        worker,
        lease,
        ..stage.limited(job, ONE)
    };
    for (job, worker) in [("a", stage.worker), ("b", WorkerId::new())] {
        for _ in 0..2 {
            stage.create(&[job]).await;
        }
        let claimed = stage.claim_limited(&request(worker, job, day)).await;
        assert_eq!(claimed.programs.len(), 1);
    }
    let shortened = stage.store.shorten_leases(Duration::ZERO).await;
    assert_eq!(shortened.expect("reached"), 1, "the other is in no list");
    for (job, least, most) in [("a", day / 2, day), ("b", Duration::ZERO, LEASE)] {
        let full = request(WorkerId::new(), job, day * 2);
        let full = stage.claim_limited(&full).await;
        let next = full.next_due.expect("when its place ends");
        assert!((least..=most).contains(&next), "{job}: {next:?}");
    }
}

pub(in crate::store) async fn who_stands_behind_a_full_key_is_found_at_once(stage: Stage) {
    let request = stage.limited("a", ONE_A_CUSTOMER);
    stage.create_of("many", 200).await;
    stage.create_of("one", 1).await;
    let mut claimed = Vec::new();
    while claimed.len() < 2 {
        let came = stage.claim_limited(&request).await;
        claimed.extend(came.programs);
        assert!(
            claimed.len() == 2 || came.next_due == Some(Duration::ZERO),
            "it would be waited for: {:?}",
            came.next_due
        );
    }
    let holds: Vec<_> = claimed.iter().filter_map(|it| it.hold.clone()).collect();
    let names: Vec<_> = holds.iter().map(|hold| hold.name.as_str()).collect();
    assert_eq!(names, [r#"a:"many""#, r#"a:"one""#]);
    // A place that is given back brings back the best of those that wait.
    stage.store.release(holds).await.expect("reached");
    let mut next = Vec::new();
    while next.is_empty() {
        next = stage.claim_limited(&request).await.programs;
    }
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].program_data, claimed[0].program_data);
    assert!(next[0].fence.id > claimed[0].fence.id);
}

pub(in crate::store) async fn limited_jobs_take_no_more_than_a_queue_has_slots(stage: Stage) {
    for queue in ["one", "one", "one", "two", "two", "three", "three"] {
        let options = Options {
            queue: Some(queue.into()),
            ..Options::default()
        };
        stage.create_with(&["a"], options).await.expect("stored");
    }
    let many = GlobalLimit {
        concurrency: Some(10),
        ..ONE
    };
    let claim = async |first, slots| {
        let request = LimitedRequest {
            shares: vec![Share::new([first], slots), Share::new(["two", "three"], 2)],
            ..stage.limited("a", many)
        };
        let claimed = stage.claim_limited(&request).await.programs.into_iter();
        claimed.map(|it| it.queue).collect::<Vec<_>>()
    };
    assert_eq!(claim("none", 9).await, ["two", "two"]);
    assert_eq!(claim("one", 2).await, ["one", "one", "three", "three"]);
    assert_eq!(claim("one", 2).await, ["one"]);
}

pub(in crate::store) async fn a_limit_of_an_unknown_job_wakes_nobody(stage: Stage) {
    stage.create_of("one", 2).await;
    let request = stage.limited("a", ONE_A_CUSTOMER);
    let claimed = stage.claim_limited(&request).await.programs.remove(0);
    // Those who know it are to look at it now.
    let hold = claimed.hold.expect("its place");
    stage.store.release(vec![hold]).await.expect("reached");
    let unknowing = stage.limited("b", ONE_A_CUSTOMER);
    assert_eq!(stage.claim_limited(&unknowing).await.next_due, None);
    let knowing = stage.claim_limited(&request).await;
    assert_eq!(knowing.next_due, Some(Duration::ZERO));
}

pub(in crate::store) async fn large_programs_are_let_in_by_the_byte(stage: Stage) {
    let text = "x".repeat(600 << 10);
    stage.create_of(&text, 1).await;
    for n in 0..3 {
        stage.create_of(&format!("{n}{text}"), 1).await;
    }
    let request = stage.limited("a", ONE_A_CUSTOMER);
    let claimed = stage.claim_limited(&request).await;
    assert_eq!(claimed.programs.len(), 1, "two are more than a MiB");
    assert!(claimed.more);
}
