//! What a worker writes of its programs, behind the fence.

use std::time::Duration;

use serde_json::json;

use super::{LEASE, Stage, advance, after, failure, new_program, retry};
use crate::{
    program::Options,
    store::{Change, NewProgram, ProgramState, StepWrite, Written},
};

pub(in crate::store) async fn steps_are_recorded_behind_the_fence(stage: Stage) {
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

pub(in crate::store) async fn a_write_that_was_applied_is_recognised(stage: Stage) {
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

pub(in crate::store) async fn a_step_that_ends_on_a_stopped_program_is_recorded(stage: Stage) {
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

pub(in crate::store) async fn retries_and_errors_are_kept(stage: Stage) {
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

pub(in crate::store) async fn a_snooze_keeps_the_retries(stage: Stage) {
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

pub(in crate::store) async fn children_come_with_the_commit(stage: Stage) {
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

pub(in crate::store) async fn children_of_a_failed_attempt_do_not(stage: Stage) {
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
