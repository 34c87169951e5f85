//! How many programs a worker runs at once: its slots, and the limits of its jobs.

#[path = "../board.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod board;

use std::sync::Arc;

use board::{Board, Stage, WaitForGate, marked};
use executor::prelude::*;
use executor_tests::{Working, until};

#[job(concurrency = 2)]
async fn limited(board: State<Arc<Board>>) -> Result<(), JobError> {
    board.pass().await
}

#[tokio::test]
async fn a_limited_job_keeps_to_its_limit_and_holds_nobody_up() {
    let stage = Stage::set(|builder| builder.slots(5)).await;
    let mut run_ids = Vec::new();
    for n in 0..12 {
        run_ids.push(match n % 3 {
            0 => {
                stage
                    .create(Program::new(()).then(marked(n)).then(Limited))
                    .await
            }
            _ => stage.create(Limited).await,
        });
    }
    let free = stage.create(marked("free")).await;
    let working = Working::start(&stage.executor);
    until("the limited job is full", async || {
        stage.board.inside() == 2
    })
    .await;
    stage.all_finish(&[free]).await;
    assert_eq!(stage.board.inside(), 2);
    stage.board.gate.0.add_permits(run_ids.len());
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.board.most_inside(), 2);
    // The room is whole again.
    let again = [
        stage.create(Limited).await,
        stage.create(Limited).await,
        stage.create(Limited).await,
    ];
    until("it is full again", async || stage.board.inside() == 2).await;
    stage.board.gate.0.add_permits(3);
    stage.all_finish(&again).await;
    assert_eq!(stage.board.most_inside(), 2);
    working.stop().await;
}

#[tokio::test]
async fn a_limit_holds_over_all_queues_of_a_worker() {
    let stage = Stage::set(|builder| builder.queues(["a", "b", "c"])).await;
    let mut run_ids = Vec::new();
    for queue in ["a", "b", "c"].repeat(3) {
        run_ids.push(stage.create(Limited.queue(queue)).await);
    }
    let free = stage.create(marked("free").queue("c").priority(1)).await;
    let working = Working::start(&stage.executor);
    stage.all_finish(&[free]).await;
    stage.board.gate.0.add_permits(run_ids.len());
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.board.most_inside(), 2);
    working.stop().await;
}

#[tokio::test]
async fn a_worker_runs_no_more_programs_than_it_has_slots() {
    let stage = Stage::set(|builder| builder.slots(3)).await;
    let mut run_ids = Vec::new();
    for _ in 0..10 {
        run_ids.push(
            stage
                .create(Program::new(()).then(WaitForGate).then(marked("then")))
                .await,
        );
    }
    let working = Working::start(&stage.executor);
    until("all slots are taken", async || stage.board.inside() == 3).await;
    stage.board.gate.0.add_permits(run_ids.len());
    stage.all_finish(&run_ids).await;
    assert_eq!(stage.board.most_inside(), 3);
    working.stop().await;
}
