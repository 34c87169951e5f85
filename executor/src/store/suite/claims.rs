//! Claims: what is taken, in which order, and how much of it.

use std::{sync::Arc, time::Duration};

use super::{Stage, new_program};
use crate::{
    config::Share,
    program::{Options, Start},
    run_id::RunId,
    store::{ClaimRequest, Created, ProgramState},
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

fn in_queue(queue: &str) -> Options {
    Options {
        queue: Some(queue.into()),
        ..Options::default()
    }
}

impl Stage {
    /// Creates programs of one job in a queue; their run ids.
    async fn create_in(&self, queue: &str, number: usize) -> Vec<RunId> {
        let programs = (0..number).map(|_| new_program(&["a"], in_queue(queue)));
        let created = self.store.create(programs.collect()).await;
        let created = created.expect("reached").into_iter();
        let run_id = |created: crate::Result<Created>| created.expect("stored").run_id;
        created.map(run_id).collect()
    }

    fn of_shares(&self, shares: &[(&[&str], usize)]) -> ClaimRequest {
        let share = |(queues, slots): &(&[&str], usize)| Share::new(queues.iter().copied(), *slots);
        ClaimRequest {
            shares: shares.iter().map(share).collect(),
            slots: shares.iter().map(|(_, slots)| slots).sum(),
            ..self.request()
        }
    }
}

pub(in crate::store) async fn each_queue_has_its_own_slots(stage: Stage) {
    // What waits in the one is older than all else.
    let mut one = stage.create_in("one", 30).await.into_iter();
    let mut two = stage.create_in("two", 10).await.into_iter();
    let mut three = stage.create_in("three", 6).await.into_iter();
    let claim_of = async |share: (&[&str], usize), others| {
        let request = stage.of_shares(&[share, (&["two", "three"], others)]);
        let claimed = stage.store.claim(request).await.expect("claimed");
        let run_ids = claimed.programs.into_iter().map(|it| it.run_id);
        run_ids.collect::<Vec<_>>()
    };
    let claim = async |one, others| claim_of((&["one"], one), others).await;
    let mut next = |ones, twos, threes| {
        let first = one.by_ref().take(ones).chain(two.by_ref().take(twos));
        first.chain(three.by_ref().take(threes)).collect::<Vec<_>>()
    };
    let of_none = claim_of((&["none"], 20), 4).await;
    assert_eq!(
        of_none,
        next(0, 4, 0),
        "what others leave is no slot of theirs"
    );
    assert_eq!(claim(3, 4).await, next(3, 4, 0));
    assert_eq!(claim(3, 4).await, next(3, 2, 2), "it goes on from there");
    assert_eq!(claim(2, 1).await, next(2, 0, 1));
    assert_eq!(claim(2, 10).await, next(2, 0, 3), "no slot of the others");
    let late = stage.create_in("two", 1).await;
    let taken = [next(1, 0, 0), late].concat();
    assert_eq!(
        claim(1, 5).await,
        taken,
        "what comes later is found at once"
    );
    let paused = stage.store.set_paused("three".to_owned(), true).await;
    assert!(paused.expect("reached"));
    let of_paused = stage.create_in("three", 1).await;
    let late = stage.create_in("two", 1).await;
    assert_eq!(claim(1, 5).await, [next(1, 0, 0), late].concat());
    let resumed = stage.store.set_paused("three".to_owned(), false).await;
    assert!(resumed.expect("reached"));
    assert_eq!(claim(1, 5).await, [next(1, 0, 0), of_paused].concat());
}

pub(in crate::store) async fn what_keeps_a_queue_from_its_slots_is_told(stage: Stage) {
    let create = async |job, queue| stage.create_with(&[job], in_queue(queue)).await;
    let best = create("a", "one").await.expect("stored");
    create("limited", "one").await.expect("stored");
    let other = create("limited", "two").await.expect("stored");
    // The room of the job is not kept for the program for which there is no slot.
    let request = |shares| ClaimRequest {
        room: vec![("limited", 1)],
        ..stage.of_shares(shares)
    };
    let both = request(&[(&["one"], 1), (&["two"], 1)]);
    let claimed = stage.store.claim(both).await.expect("claimed");
    let mut taken: Vec<_> = claimed.programs.into_iter().map(|it| it.run_id).collect();
    if claimed.again {
        let rest = stage.claim_with(request(&[(&["two"], 1)])).await;
        taken.extend(rest.into_iter().map(|it| it.run_id));
    }
    assert_eq!(taken, [best, other]);
    // Nor are the bytes.
    stage.create_in("one", 1).await;
    stage.create_in("two", 1).await;
    let short = ClaimRequest {
        bytes: 1,
        ..stage.of_shares(&[(&["one"], 5), (&["two"], 5)])
    };
    let claimed = stage.store.claim(short).await.expect("claimed");
    assert_eq!(claimed.programs.len(), 1);
    assert!(claimed.again && claimed.more);
}
