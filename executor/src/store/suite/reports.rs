//! Jobs that were handed off, and what is reported of them.

use std::time::Duration;

use serde_json::json;

use super::{Stage, advance};
use crate::{
    ErrorKind, HandOffToken,
    program::Options,
    store::{Afterwards, Change, ProgramState, Target, Written},
};

fn hand_off(next: Option<&str>) -> Change {
    Change::HandOff {
        key: "a".to_owned(),
        next: next.map(str::to_owned),
    }
}

pub(in crate::store) async fn a_hand_off_waits_for_its_report(stage: Stage) {
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
        .complete(Target::RunId(run_id.clone()), None, Afterwards::Keep)
        .await;
    assert_eq!(by_run_id.expect_err("two jobs").kind(), ErrorKind::Conflict);
    let done = stage
        .store
        .complete(Target::Token(token), Some("7".to_owned()), Afterwards::Keep)
        .await;
    assert!(done.expect("it waits"));
    let claimed = stage.claim_one().await;
    let outputs: serde_json::Value = serde_json::from_str(&claimed.outputs).expect("JSON");
    assert_eq!((claimed.step, outputs), (1, json!({"a": 7})));
}

pub(in crate::store) async fn a_report_may_come_early(stage: Stage) {
    let run_id = stage.create(&["a"]).await;
    let fence = stage.claim_one().await.fence;
    let token = HandOffToken::new(run_id.clone(), 0, fence.token);
    stage
        .store
        .complete(
            Target::Token(token.clone()),
            Some("7".to_owned()),
            Afterwards::Keep,
        )
        .await
        .expect("it runs");
    assert_eq!(
        stage.state(&run_id).await,
        ProgramState::Running,
        "the job goes on"
    );
    // The first one wins, whatever comes after it and however it is named.
    for target in [Target::Token(token), Target::RunId(run_id.clone())] {
        let store = &stage.store;
        let second = store
            .complete(target.clone(), Some("8".to_owned()), Afterwards::Keep)
            .await;
        let failed = store.fail(target, "x".to_owned(), Afterwards::Keep).await;
        for refused in [second, failed] {
            let refused = refused.expect_err("a second report");
            assert_eq!(refused.kind(), ErrorKind::Conflict);
            assert!(refused.to_string().contains("has been completed"));
        }
    }
    assert_eq!(stage.write(fence, hand_off(None)).await, Written::Committed);
    let program = stage.get(&run_id).await;
    assert_eq!(
        (program.state, program.output()),
        (ProgramState::Finished, Some(&json!(7)))
    );
}

pub(in crate::store) async fn a_report_for_another_step_is_refused(stage: Stage) {
    let run_id = stage.create(&["a", "b"]).await;
    let fence = stage.claim_one().await.fence;
    let token = HandOffToken::new(run_id.clone(), 0, fence.token);
    stage.write(fence, advance("b", None)).await;
    let late = stage
        .store
        .complete(Target::Token(token.clone()), None, Afterwards::Keep)
        .await;
    assert!(
        late.expect_err("it is past")
            .to_string()
            .contains("at step 1")
    );
    let failed = stage
        .store
        .fail(Target::Token(token), "x".to_owned(), Afterwards::Keep)
        .await;
    assert_eq!(failed.expect_err("it is past").kind(), ErrorKind::Conflict);
    assert_eq!(stage.state(&run_id).await, ProgramState::Running);
}

pub(in crate::store) async fn a_hand_off_comes_back_by_itself(stage: Stage) {
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
        .complete(Target::Token(token), None, Afterwards::Keep)
        .await
        .expect("its step");
    assert_eq!(stage.state(&run_id).await, ProgramState::Finished);
    let finish = Change::Finish { outputs: None };
    assert_eq!(stage.write(second, finish).await, Written::LeaseLost);
}
