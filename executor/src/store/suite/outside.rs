//! What people and applications do to programs from outside.

use std::time::Duration;

use serde_json::json;

use super::{Stage, advance, after, failure};
use crate::{
    ErrorKind,
    program::{Options, Start},
    store::{Change, Ended, Filter, ProgramState},
};

pub(in crate::store) async fn cancel_and_retry(stage: Stage) {
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

pub(in crate::store) async fn a_unique_key_is_free_when_its_program_ends(stage: Stage) {
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

pub(in crate::store) async fn a_taken_key_refuses_a_retry(stage: Stage) {
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

pub(in crate::store) async fn attributes_merge_and_keep_null(stage: Stage) {
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

pub(in crate::store) async fn only_terminal_programs_are_pruned(stage: Stage) {
    let old = |age| Ended {
        state: ProgramState::Errored,
        queue: "default".to_owned(),
        age,
    };
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
            .prune(old(Duration::from_secs(3600)), 10)
            .await
            .expect("reached"),
        0
    );
    assert_eq!(
        stage
            .store
            .prune(old(Duration::ZERO), 10)
            .await
            .expect("reached"),
        1
    );
    assert!(stage.store.get(ended).await.expect("read").is_none());
    assert_eq!(stage.state(&waits).await, ProgramState::Available);
}

pub(in crate::store) async fn lists_filter_by_state(stage: Stage) {
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
