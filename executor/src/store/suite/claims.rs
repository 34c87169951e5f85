//! Claims: what is taken, in which order, and how much of it.

use std::{sync::Arc, time::Duration};

use super::{Stage, new_program};
use crate::{
    program::{Options, Start},
    store::{ClaimRequest, ProgramState},
};

pub(in crate::store) async fn a_claim_takes_each_program_once(stage: Stage) {
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

pub(in crate::store) async fn a_claim_goes_by_order_and_room(stage: Stage) {
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

pub(in crate::store) async fn a_claim_is_bounded_by_bytes(stage: Stage) {
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

pub(in crate::store) async fn a_claim_leaves_what_is_not_due(stage: Stage) {
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

pub(in crate::store) async fn pausing_closes_a_queue(stage: Stage) {
    stage.create(&["a"]).await;
    let set = |paused| stage.store.set_paused("default".to_owned(), paused);
    assert!(set(true).await.expect("reached"));
    assert!(!set(true).await.expect("reached"), "it was paused already");
    assert!(stage.claim().await.is_empty());
    assert!(stage.store.stats().await.expect("read").queues["default"].paused);
    assert!(set(false).await.expect("reached"));
    stage.claim_one().await;
}
