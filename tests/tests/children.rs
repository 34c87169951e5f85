//! The programs that a job starts: stored with what its attempt came to, and never twice.

use std::{sync::Mutex, time::Duration};

use executor::{ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Working, ended, until};

#[job]
async fn child() -> Result<(), JobError> {
    Ok(())
}

/// How an attempt ends that has started children.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum End {
    Succeed,
    Retry,
    Snooze,
    Checkpoint,
    HandOff,
    Fail,
}

/// The attempts of the parents, counted from outside: a snooze counts as no attempt.
static ATTEMPTS: Mutex<Vec<RunId>> = Mutex::new(Vec::new());

/// Starts two children in each attempt, and a third with saved progress if it is told to.
#[job(retry(max = 3, backoff = "1ms"))]
async fn parent(
    ctx: Context,
    end: End,
    save: bool,
    mut saved: Saved<u32>,
) -> Result<Vec<RunId>, JobError> {
    let first = {
        let mut attempts = ATTEMPTS.lock().expect("whole");
        attempts.push(ctx.run_id().clone());
        attempts
            .iter()
            .filter(|run_id| *run_id == ctx.run_id())
            .count()
            == 1
    };
    if save && first {
        ctx.start(Child)?;
        saved.set(1).await?;
    }
    let started = vec![ctx.start(Child)?, ctx.start(Child)?];
    match end {
        _ if !first => Ok(started),
        End::Succeed => Ok(started),
        End::Retry => Err(JobError::retry("not yet")),
        End::Snooze => Err(JobError::snooze(Duration::from_millis(1))),
        End::Checkpoint => ctx.checkpoint(Duration::ZERO).map(|()| started),
        End::HandOff => Err(JobError::hand_off()),
        End::Fail => Err(JobError::fatal("never")),
    }
}

#[tokio::test]
async fn children_are_stored_with_what_the_attempt_came_to() {
    // The children of an attempt that failed are discarded; those that were stored with saved
    // progress, and those of an attempt that ended well, stay.
    const CASES: [(End, usize, usize); 6] = [
        (End::Succeed, 2, 3),
        (End::Retry, 2, 3),
        (End::Snooze, 4, 5),
        (End::Checkpoint, 4, 5),
        (End::HandOff, 2, 3),
        (End::Fail, 0, 1),
    ];
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let working = Working::start(&executor);
    for (end, alone, with_progress) in CASES {
        for (save, expected) in [(false, alone), (true, with_progress)] {
            let program = Parent {
                end,
                save,
                saved: 0,
            };
            let run_id = program.create(&executor).await.expect("created");
            if matches!(end, End::HandOff) {
                let waits = async || {
                    let program = executor.get(&run_id).await.expect("read").expect("there");
                    program.state == ProgramState::Waiting
                };
                until("it is handed off", waits).await;
                executor
                    .complete(&run_id, Vec::<RunId>::new())
                    .await
                    .expect("reported");
            }
            let program = ended(&executor, &run_id).await;
            let children = executor.children(&run_id).await.expect("children");
            assert_eq!(children.len(), expected, "{end:?} {save}: {program:?}");
            for child in &children {
                let child = ended(&executor, child).await;
                assert_eq!(child.state, ProgramState::Finished);
                assert_eq!(child.parent_run_id.as_ref(), Some(&run_id));
            }
        }
    }
    working.stop().await;
}

#[tokio::test]
async fn a_child_whose_unique_key_is_taken_is_not_doubled() {
    #[job]
    async fn alone(ctx: Context) -> Result<(), JobError> {
        ctx.start(Child.unique("the only one").queue("nobody works it"))?;
        Ok(())
    }
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let working = Working::start(&executor);
    for _ in 0..3 {
        let run_id = Alone.create(&executor).await.expect("created");
        assert_eq!(
            ended(&executor, &run_id).await.state,
            ProgramState::Finished
        );
    }
    let count = fresh.value("COUNT(*)", "programs WHERE unique_key IS NOT NULL");
    assert_eq!(count.as_deref(), Some("1"));
    working.stop().await;
}
