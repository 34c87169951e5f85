//! Programs that are shared with program-executor.

use std::time::Duration;

use super::{LEASE, Stage, after};
use crate::{
    RunId,
    program::{Options, Start},
    store::{Adopted, Change, Offer, Orphans, ProgramState, StepWrite, Taken, Written},
};

const DONE: Taken = Taken::Void("the step is done");
const ENDED: Taken = Taken::Void("the program has ended");
const OURS_ALREADY: Taken = Taken::Void("the store has the program");

impl Stage {
    /// A program of these jobs whose message the broker has.
    async fn announced(&self, jobs: &[&'static str]) -> RunId {
        let run_id = self.create(jobs).await;
        let announced = self.store.announced(vec![run_id.clone()]).await;
        announced.expect("reached");
        assert!(self.claim().await.is_empty(), "it is the broker's");
        run_id
    }

    /// What a message comes to by which these jobs are left.
    async fn offer(&self, run_id: &RunId, left: &[&str]) -> Taken {
        let offer = Offer {
            run_id: run_id.as_str().to_owned(),
            queue: "default".to_owned(),
            jobs: left.iter().map(|&job| job.to_owned()).collect(),
        };
        self.store.take_in(vec![offer]).await.expect("reached")[0]
    }

    async fn adopt(&self, older_than: Duration, dry_run: bool) -> Adopted {
        let orphans = Orphans {
            older_than,
            queues: vec!["default".to_owned()],
            dry_run,
        };
        let adopted = self.store.adopt(orphans, i64::MIN).await;
        adopted.expect("reached")
    }
}

fn hand_over_at(next: &str) -> Change {
    Change::AdvanceAndHandOver {
        next: next.to_owned(),
        outputs: Some(r#"{"a": 1}"#.to_owned()),
    }
}

pub(in crate::store) async fn a_message_brings_its_program_into_the_store(stage: Stage) {
    let run_id = stage.announced(&["a", "b"]).await;
    let strange = Taken::Void("its jobs are not what is left of the program");
    assert_eq!(stage.offer(&run_id, &["a"]).await, strange);
    assert_eq!(stage.offer(&run_id, &[]).await, strange);
    let nobody = stage.offer(&"17".into(), &["a", "b"]).await;
    assert_eq!(nobody, Taken::Void("there is no such program"));
    assert_eq!(stage.offer(&run_id, &["a", "b"]).await, Taken::Ours);
    assert_eq!(stage.offer(&run_id, &["a", "b"]).await, OURS_ALREADY);
    let claimed = stage.claim_one().await;
    assert_eq!((claimed.run_id.clone(), claimed.step), (run_id.clone(), 0));
    assert_eq!(stage.offer(&run_id, &["a", "b"]).await, Taken::Later);
    let advanced = stage.write(claimed.fence, super::advance("b", None)).await;
    assert_eq!(advanced, Written::Committed);
    assert_eq!(stage.offer(&run_id, &["a", "b"]).await, DONE);
    assert_eq!(stage.offer(&run_id, &["b"]).await, Taken::Later);
    let end = Change::Finish { outputs: None };
    assert_eq!(
        stage.write(after(claimed.fence), end).await,
        Written::Committed
    );
    assert_eq!(stage.offer(&run_id, &["b"]).await, ENDED);
    assert!(stage.claim().await.is_empty());
}

/// Whoever created it may be late to say that the broker has its message.
pub(in crate::store) async fn a_message_counts_before_its_confirm_does(stage: Stage) {
    let later = Options {
        start: Start::After(LEASE),
        ..Options::default()
    };
    let run_id = stage.create_with(&["a"], later).await.expect("stored");
    assert_eq!(stage.offer(&run_id, &["a"]).await, Taken::Ours);
    stage
        .store
        .announced(vec![run_id.clone()])
        .await
        .expect("reached");
    assert_eq!(stage.claim_one().await.run_id, run_id);
}

pub(in crate::store) async fn a_hand_over_gives_a_program_to_the_broker(stage: Stage) {
    let run_id = stage.announced(&["a", "b", "c"]).await;
    stage.offer(&run_id, &["a", "b", "c"]).await;
    let claim = stage.claim_one().await.fence;
    let written = stage.write(claim, hand_over_at("b")).await;
    assert_eq!(written, Written::Committed);
    assert!(stage.claim().await.is_empty());
    let written = stage.write(after(claim), Change::HandedOver).await;
    assert_eq!(written, Written::Committed);
    assert!(stage.claim().await.is_empty(), "it is the broker's");
    // Another system has done the next step, and has not said so yet.
    assert_eq!(stage.offer(&run_id, &["c"]).await, Taken::Ours);
    let claimed = stage.claim_one().await;
    assert_eq!((claimed.step, claimed.suspect), (2, false));
    assert_eq!(claimed.outputs, r#"{"a": 1}"#);
}

/// Its message may be taken before the giver knows that it is out.
pub(in crate::store) async fn a_taker_ends_the_claim_of_who_hands_over(stage: Stage) {
    let run_id = stage.announced(&["a", "b"]).await;
    stage.offer(&run_id, &["a", "b"]).await;
    let claim = stage.claim_one().await.fence;
    stage.write(claim, hand_over_at("b")).await;
    assert_eq!(stage.offer(&run_id, &["b"]).await, Taken::Ours);
    let written = stage.write(after(claim), Change::HandedOver).await;
    assert_eq!(written, Written::LeaseLost);
    assert_eq!(stage.claim_one().await.step, 1);
}

/// The giver dies in between: another worker of ours hands it over once more.
pub(in crate::store) async fn a_hand_over_that_was_begun_is_taken_up(stage: Stage) {
    let run_id = stage.announced(&["a", "b"]).await;
    stage.offer(&run_id, &["a", "b"]).await;
    let claim = stage.claim_briefly().await.fence;
    let begun = StepWrite {
        fence: claim,
        change: hand_over_at("b"),
        children: Vec::new(),
        ordinal: 0,
        lease: Duration::ZERO,
    };
    assert_eq!(stage.write_all(begun).await, Written::Committed);
    let claimed = stage.claim_one().await;
    assert_eq!((claimed.run_id, claimed.step), (run_id, 1));
}

pub(in crate::store) async fn only_what_the_broker_has_lost_is_adopted(stage: Stage) {
    let lost = stage.announced(&["a", "b"]).await;
    let taken = stage.announced(&["a"]).await;
    stage.offer(&taken, &["a"]).await;
    let claim = stage.claim_one().await.fence;
    let later = Options {
        start: Start::After(LEASE),
        ..Options::default()
    };
    stage.create_with(&["a"], later).await.expect("stored");
    let stopped = stage.announced(&["a"]).await;
    assert!(
        stage
            .store
            .cancel(stopped, "no".to_owned())
            .await
            .expect("reached")
    );
    let orphans = |adopted: Adopted| adopted.run_ids;
    assert!(orphans(stage.adopt(LEASE, false).await).is_empty());
    let found = orphans(stage.adopt(Duration::ZERO, true).await);
    assert_eq!(found, std::slice::from_ref(&lost));
    assert!(stage.claim().await.is_empty(), "it was only looked at");
    assert_eq!(
        orphans(stage.adopt(Duration::ZERO, false).await),
        std::slice::from_ref(&lost)
    );
    assert!(orphans(stage.adopt(Duration::ZERO, false).await).is_empty());
    // Its message was late, and not lost.
    assert_eq!(stage.offer(&lost, &["a", "b"]).await, OURS_ALREADY);
    assert_eq!(stage.claim_one().await.run_id, lost);
    let end = Change::Finish { outputs: None };
    assert_eq!(stage.write(claim, end).await, Written::Committed);
    assert_eq!(stage.state(&taken).await, ProgramState::Finished);
}
