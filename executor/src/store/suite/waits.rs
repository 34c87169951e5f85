//! Programs that wait for the end of others.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{Stage, after, failure, new_program};
use crate::{
    RunId,
    program::Options,
    store::{
        Afterwards, Bulk, BulkVerb, Change, Fence, Filter, NewProgram, ProgramState, Resumed,
        Settled, Target, Waits, Written,
    },
};

/// A child of this program, as its first step starts it.
fn child_of(parent: &RunId, ordinal: u32) -> NewProgram {
    NewProgram {
        run_id: parent.awaited_child(0, ordinal),
        parent: Some(parent.clone()),
        ..new_program(&["b", "c"], Options::default())
    }
}

fn wait_for(child: NewProgram, next: Option<&str>) -> Change {
    Change::Await {
        child: Box::new(child),
        key: "a".to_owned(),
        next: next.map(str::to_owned),
    }
}

fn done(outputs: &str) -> Change {
    Change::Finish {
        outputs: Some(outputs.to_owned()),
    }
}

impl Stage {
    /// A program that waits for a child, and both.
    async fn waiting(&self) -> (RunId, RunId, Fence) {
        let parent = self.create(&["a", "b"]).await;
        let fence = self.claim_one().await.fence;
        let child = child_of(&parent, 0);
        let run_id = child.run_id.clone();
        let written = self.write(fence, wait_for(child, Some("b"))).await;
        assert_eq!(written, Written::Committed);
        (parent, run_id, fence)
    }

    async fn settle(&self, waits: Waits) -> Settled {
        self.store.settle(waits).await.expect("reached")
    }

    /// A look at all.
    async fn look(&self) -> Vec<Resumed> {
        let settled = self.settle(Waits::From(i64::MIN)).await;
        assert_eq!(settled.next, None);
        settled.resumed
    }

    /// Takes the child, and does its first step.
    async fn begin_child(&self, child: &RunId) -> Fence {
        let claimed = self.claim_one().await;
        assert_eq!(claimed.run_id, *child);
        let next = super::advance("c", Some(r#"{"b": "no"}"#));
        assert_eq!(self.write(claimed.fence, next).await, Written::Committed);
        after(claimed.fence)
    }

    async fn assert_failed(&self, parent: &RunId, child: &RunId, why: &str) {
        let program = self.get(parent).await;
        assert_eq!(program.state, ProgramState::Errored, "{why}");
        let message = program.error_message.expect("a message");
        assert_eq!(
            message,
            format!("the program {child} that it waited for {why}")
        );
    }
}

pub(in crate::store) async fn a_program_waits_for_its_child(stage: Stage) {
    let (parent, child, fence) = stage.waiting().await;
    let program = stage.get(&parent).await;
    assert_eq!(program.state, ProgramState::Waiting);
    assert_eq!(program.waits_for.as_ref(), Some(&child));
    assert_eq!((program.available_at, program.hand_off_token), (None, None));
    assert_eq!(
        stage.get(&child).await.parent_run_id.as_ref(),
        Some(&parent)
    );
    let children = stage.store.children(parent.clone()).await.expect("read");
    assert_eq!(children, std::slice::from_ref(&child));
    // A time after which hand-offs come back is none of its business.
    let time = Some(Duration::ZERO);
    let set = stage.store.set_retry_after(parent.clone(), time).await;
    assert!(set.expect("reached"));
    // The same write once more, as after an answer that was lost.
    let again = stage
        .write(fence, wait_for(child_of(&parent, 0), Some("b")))
        .await;
    assert_eq!(again, Written::Committed);
    let fence = stage.begin_child(&child).await;
    assert!(stage.look().await.is_empty(), "the child has not ended");
    stage
        .write(fence, done(r#"{"b": "no", "c": {"rows": 7}}"#))
        .await;
    let resumed = stage.settle(Waits::For(vec![child.clone()])).await.resumed;
    assert_eq!(resumed.len(), 1, "{resumed:?}");
    assert_eq!((&resumed[0].run_id, resumed[0].step), (&parent, 0));
    assert!(resumed[0].failure.is_none() && !resumed[0].last);
    let claimed = stage.claim_one().await;
    assert_eq!((&claimed.run_id, claimed.step), (&parent, 1));
    let outputs: serde_json::Value = serde_json::from_str(&claimed.outputs).expect("JSON");
    assert_eq!(outputs, json!({"a": {"rows": 7}}));
    assert!(stage.look().await.is_empty(), "once");
    assert_eq!(stage.get(&parent).await.waits_for, None);
}

pub(in crate::store) async fn a_wait_ends_however_the_child_does(stage: Stage) {
    // As its worker says, as somebody says, and as is found later: many, old ones.
    let (parent, child, _) = stage.waiting().await;
    let fence = stage.begin_child(&child).await;
    let failed = Change::Fail {
        failure: failure("no paper"),
    };
    stage.write(fence, failed).await;
    let resumed = stage.look().await;
    assert!(resumed[0].failure.is_some(), "{resumed:?}");
    let why = "has errored: no paper";
    stage.assert_failed(&parent, &child, why).await;
    let program = stage.get(&parent).await;
    assert_eq!((program.errors.len(), program.step), (1, 0));
    assert!(program.errors[0].error.ends_with(why), "{program:?}");

    let (parent, child, _) = stage.waiting().await;
    let cancelled = stage
        .store
        .cancel(child.clone(), "cancelled".to_owned())
        .await;
    assert!(cancelled.expect("reached"));
    stage
        .assert_failed(&parent, &child, "has errored: cancelled")
        .await;

    let (parent, child, _) = stage.waiting().await;
    assert!(stage.store.delete(child.clone()).await.expect("reached"));
    stage.assert_failed(&parent, &child, "was deleted").await;

    let (parent, child, _) = stage.waiting().await;
    let bulk = Bulk {
        verb: BulkVerb::Delete,
        filter: Filter::new().state(ProgramState::Available),
    };
    let bulk = stage.store.bulk(Arc::new(bulk), i64::MIN, 100).await;
    assert_eq!(bulk.expect("reached").done, 1);
    assert_eq!(stage.look().await.len(), 1);
    stage.assert_failed(&parent, &child, "was deleted").await;
}

pub(in crate::store) async fn reports_on_a_child_let_its_parent_go_on(stage: Stage) {
    for then in [Afterwards::Keep, Afterwards::Delete] {
        let parent = stage.create(&["a"]).await;
        let fence = stage.claim_one().await.fence;
        let child = NewProgram {
            program: new_program(&["b"], Options::default()).program,
            ..child_of(&parent, 0)
        };
        let run_id = child.run_id.clone();
        stage.write(fence, wait_for(child, None)).await;
        let claimed = stage.claim_one().await;
        let hand_off = Change::HandOff {
            key: "b".to_owned(),
            next: None,
        };
        stage.write(claimed.fence, hand_off).await;
        let target = Target::RunId(run_id.clone());
        let report = stage
            .store
            .complete(target, Some("7".to_owned()), then)
            .await;
        assert!(report.expect("it waits"));
        let program = stage.get(&parent).await;
        let (state, output) = (program.state, program.output());
        assert_eq!((state, output), (ProgramState::Finished, Some(&json!(7))));
        let kept = stage.store.get(run_id).await.expect("read").is_some();
        assert_eq!(kept, then == Afterwards::Keep);
    }
}

pub(in crate::store) async fn a_wait_that_was_taken_away_means_nothing(stage: Stage) {
    let (parent, child, _) = stage.waiting().await;
    let now = std::time::SystemTime::now().into();
    let due = stage.store.reschedule(parent.clone(), now).await;
    assert!(due.expect("reached"));
    // Both are due. The job runs again, and starts another one.
    let mut claimed = stage.claim().await;
    claimed.sort_by_key(|claimed| claimed.run_id != parent);
    let second = child_of(&parent, 1);
    let second_id = second.run_id.clone();
    stage
        .write(claimed[0].fence, wait_for(second, Some("b")))
        .await;
    let next = super::advance("c", None);
    stage.write(claimed[1].fence, next).await;
    stage.write(after(claimed[1].fence), done("{}")).await;
    assert!(
        stage
            .settle(Waits::For(vec![child]))
            .await
            .resumed
            .is_empty()
    );
    assert!(stage.look().await.is_empty());
    let program = stage.get(&parent).await;
    assert_eq!(program.waits_for.as_ref(), Some(&second_id));
    // Nor where the parent was stopped.
    let stopped = stage
        .store
        .cancel(parent.clone(), "stopped".to_owned())
        .await;
    assert!(stopped.expect("reached"));
    let fence = stage.begin_child(&second_id).await;
    stage.write(fence, done("{}")).await;
    assert!(stage.look().await.is_empty());
    let program = stage.get(&parent).await;
    assert_eq!(program.error_message.as_deref(), Some("stopped"));
}

pub(in crate::store) async fn a_stopped_program_starts_nothing_to_wait_for(stage: Stage) {
    let parent = stage.create(&["a", "b"]).await;
    let fence = stage.claim_one().await.fence;
    let stopped = stage
        .store
        .cancel(parent.clone(), "stopped".to_owned())
        .await;
    assert!(stopped.expect("reached"));
    let waits = || wait_for(child_of(&parent, 0), Some("b"));
    assert_eq!(stage.write(fence, waits()).await, Written::Stopped);
    // A report that comes while the job runs leaves nothing to wait for.
    let parent = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    let target = Target::RunId(parent.clone());
    let report = stage
        .store
        .complete(target, Some("7".to_owned()), Afterwards::Keep)
        .await;
    assert!(report.expect("it runs"));
    let waits = || wait_for(child_of(&parent, 0), None);
    assert_eq!(stage.write(fence, waits()).await, Written::Committed);
    assert_eq!(stage.state(&parent).await, ProgramState::Finished);
    assert!(stage.claim().await.is_empty());
    assert!(stage.look().await.is_empty());
}

pub(in crate::store) async fn who_has_the_key_is_waited_for(stage: Stage) {
    let keyed = || Options {
        unique_key: Some("k".into()),
        ..Options::default()
    };
    let holder = stage.create_with(&["c"], keyed()).await.expect("stored");
    let holds = stage.claim_one().await;
    let mut parents = Vec::new();
    for _ in 0..2 {
        let parent = stage.create(&["a"]).await;
        let fence = stage.claim_one().await.fence;
        let child = NewProgram {
            program: new_program(&["b"], keyed()).program,
            ..child_of(&parent, 0)
        };
        assert_eq!(
            stage.write(fence, wait_for(child, None)).await,
            Written::Committed
        );
        let program = stage.get(&parent).await;
        assert_eq!(program.waits_for.as_ref(), Some(&holder));
        parents.push(parent);
    }
    stage.write(holds.fence, done(r#"{"c": 3}"#)).await;
    assert_eq!(stage.look().await.len(), 2);
    for parent in parents {
        let program = stage.get(&parent).await;
        let (state, output) = (program.state, program.output());
        assert_eq!((state, output), (ProgramState::Finished, Some(&json!(3))));
    }
}
