//! Leases: when they end, who takes over, and what the old claim may still do.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{Stage, advance, after, held, retry};
use crate::{
    program::{Options, Start},
    store::{
        Afterwards, Change, ClaimRequest, Fence, ProgramState, Pulse, Target, WorkerId, Written,
    },
};

pub(in crate::store) async fn an_expired_lease_that_nobody_took_still_commits(stage: Stage) {
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

pub(in crate::store) async fn a_taken_program_fences_the_old_claim(stage: Stage) {
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

pub(in crate::store) async fn a_takeover_counts_as_a_crash(stage: Stage) {
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

pub(in crate::store) async fn the_last_crash_ends_the_program(stage: Stage) {
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

pub(in crate::store) async fn a_heartbeat_tells_what_was_stopped_or_lost(stage: Stage) {
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

pub(in crate::store) async fn a_late_heartbeat_renews_nothing(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    stage.write(fence, retry(Duration::from_secs(3600))).await;
    assert_eq!(stage.beat(held(fence)).await, Pulse::Lost);
    assert_eq!(stage.state(&run_id).await, ProgramState::Scheduled);
}

pub(in crate::store) async fn a_claim_that_was_taken_away_waits_for_the_old_body(stage: Stage) {
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
        .fail(target, "x".to_owned(), Afterwards::Keep)
        .await
        .expect("it runs");
    assert!(stage.store.retry(failed).await.expect("errored"));
    assert!(stage.claim().await.is_empty(), "two bodies of one step");
}

pub(in crate::store) async fn a_body_that_has_ended_is_waited_for_no_longer(stage: Stage) {
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

pub(in crate::store) async fn a_body_whose_program_was_taken_away_twice_is_known_when_it_ends(
    stage: Stage,
) {
    let now = crate::Timestamp::from_millis(0);
    let moved = stage.create(&["a"]).await;
    let moving = stage.claim_one().await.fence;
    for _ in 0..3 {
        let done = stage.store.reschedule(moved.clone(), now).await;
        assert!(done.expect("it runs"));
    }
    let failed = stage.create(&["a"]).await;
    let failing = stage.claim_one().await.fence;
    let target = Target::RunId(failed.clone());
    let fails = stage
        .store
        .fail(target, "x".to_owned(), Afterwards::Keep)
        .await;
    assert!(fails.expect("it runs"));
    assert!(stage.store.retry(failed.clone()).await.expect("errored"));
    assert!(stage.claim().await.is_empty(), "their bodies still run");
    for (ended, run_id) in [(moving, moved), (failing, failed)] {
        let written = stage.write(ended, Change::Finish { outputs: None }).await;
        assert_eq!(written, Written::LeaseLost);
        assert_eq!(stage.claim_one().await.run_id, run_id);
    }
}

/// A claim whose lease ran out is one as long as nobody has taken the program.
pub(in crate::store) async fn a_claim_whose_lease_ran_out_is_taken_away(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let fence = stage.claim_briefly().await.fence;
    stage.promote_only().await;
    let now = crate::Timestamp::from_millis(0);
    let moved = stage.store.reschedule(run_id.clone(), now).await;
    assert!(moved.expect("it has not ended"));
    assert_eq!(
        stage.write(fence, advance("b", None)).await,
        Written::LeaseLost
    );
    assert_eq!(stage.beat(held(fence)).await, Pulse::Lost);
    assert_eq!(stage.get(&run_id).await.step, 0);
}

/// As after a jump back of the database's clock (SEMANTICS §2.5).
pub(in crate::store) async fn a_lease_that_ends_far_ahead_counts_as_one_from_first_sight(
    stage: Stage,
) {
    let day = Duration::from_secs(86_400);
    let lease = Duration::from_millis(300);
    let shorten = || stage.store.shorten_leases(Duration::ZERO);
    let far = |lease| ClaimRequest {
        lease,
        ..stage.request()
    };
    let ran = stage.create(&["a"]).await;
    assert_eq!(stage.claim_with(far(day)).await.len(), 1);
    // A receiver's lease may have been as long.
    let moved = stage.create(&["a"]).await;
    assert_eq!(stage.claim_with(far(day * 2)).await.len(), 1);
    let now = crate::Timestamp::from_millis(0);
    let done = stage.store.reschedule(moved.clone(), now).await;
    assert!(done.expect("it runs"));
    let options = Options {
        start: Start::After(day * 3),
        ..Options::default()
    };
    let later = stage.create_with(&["a"], options).await.expect("stored");
    stage.store.deregister(stage.worker).await.expect("reached");
    assert_eq!(shorten().await.expect("reached"), 0, "there is no worker");
    stage.register_with(stage.worker, lease).await;
    assert_eq!(shorten().await.expect("reached"), 2);
    assert_eq!(shorten().await.expect("reached"), 0);
    let mut claimed = Vec::new();
    while claimed.len() < 2 {
        let next = stage.claim_with(far(lease)).await;
        claimed.extend(next.into_iter().map(|program| program.run_id));
    }
    claimed.sort();
    let mut both = [ran, moved];
    both.sort();
    assert_eq!(claimed, both);
    let later = stage.get(&later).await;
    let waits = later.available_at.expect("a time");
    assert!(waits.since(later.created_at.expect("a time")) > day * 2);
}

/// Who receives programs is in no list of workers.
pub(in crate::store) async fn a_receivers_lease_may_be_longer_than_any_workers(stage: Stage) {
    let longest = crate::config::LONGEST_LEASE;
    let received = |lease| ClaimRequest {
        worker: WorkerId::new(),
        lease,
        ..stage.request()
    };
    for (lease, shortened) in [(longest, 0), (longest * 2, 1)] {
        stage.create(&["a"]).await;
        assert_eq!(stage.claim_with(received(lease)).await.len(), 1);
        let now = stage.store.shorten_leases(Duration::ZERO).await;
        assert_eq!(now.expect("reached"), shortened, "{lease:?}");
    }
}

pub(in crate::store) async fn the_end_of_a_worker_gives_its_programs_back(stage: Stage) {
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
