//! Saved progress that is set from several places at once.

use std::time::Duration;

use executor::{ProgramState, prelude::*};
use executor_tests::Fresh;

/// Sets two fields at the same time, round after round; each round is a new attempt that reads what
/// the one before has stored.
#[job(retry(max = 200))]
async fn set_both(
    rounds: u32,
    mut round: Saved<u32>,
    mut left: Saved<u32>,
    mut right: Saved<u32>,
) -> Result<u32, JobError> {
    if *left != *round || *right != *round {
        return Err(JobError::fatal(format!(
            "in round {}: left is {}, right is {}",
            *round, *left, *right
        )));
    }
    if *round == rounds {
        return Ok(rounds);
    }
    let next = *round + 1;
    let (a, b, c) = tokio::join!(round.set(next), left.set(next), right.set(next));
    a.and(b).and(c)?;
    Err(JobError::retry_after("the next round", Duration::ZERO))
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_saved_at_once_all_stay() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let run_id = SetBoth::new(100).create(&executor).await.expect("created");
    let program = &executor.work_until_ended([&run_id]).await.expect("it ends")[0];
    assert_eq!(
        program.state,
        ProgramState::Finished,
        "{:?}",
        program.error_message
    );
}

/// Leaves a task behind that goes on saving when the body has returned.
#[job]
async fn leave_behind(ctx: Context) -> Result<(), JobError> {
    tokio::spawn(async move {
        let mut number = 0;
        while ctx.job_data().set("late", &number).await.is_ok() {
            number += 1;
        }
    });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_outlives_its_program_saves_nothing_more() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let run_id = LeaveBehind.create(&executor).await.expect("created");
    let program = executor
        .work_until_ended([&run_id])
        .await
        .expect("it ends")
        .remove(0);
    assert_eq!(program.state, ProgramState::Finished);
    assert_eq!(program.lease_until, None);
    let later = executor.get(&run_id).await.expect("read").expect("there");
    assert_eq!(later.job_data, program.job_data);
}
