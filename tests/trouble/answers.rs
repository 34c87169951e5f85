//! Answers that are lost: what was written is found, and not written twice.

use std::{sync::Arc, time::Duration};

use diesel_async::{AsyncConnection, RunQueryDsl};
use executor::prelude::*;
use executor_tests::until;

use crate::{
    Db, Make,
    behind::Behind,
    trouble::{Count, Hold, Server, When, all_finish, get},
};

#[tokio::test]
async fn a_step_whose_answer_is_lost_is_recorded_once() {
    let Some(mut behind) = Behind::start(Duration::from_secs(3)).await else {
        return;
    };
    Make::linger(&behind.fresh, When::Step);
    let program = Program::new(()).then(Hold).then(Count).then_again(Count);
    let run_id = program.create(&behind.executor).await.expect("created");
    let tally = Arc::clone(&behind.tally);
    until("it runs", async || tally.of(&run_id, 0) == 1).await;
    behind.tally.gate.add_permits(1);
    let (executor, id) = (behind.executor.clone(), run_id.clone());
    let applied = async || get(&executor, &id).await.step == 1;
    behind.lose_the_answer(applied).await;
    all_finish(&behind.executor, std::slice::from_ref(&run_id), 3).await;
    for step in 0..3 {
        assert_eq!(behind.tally.of(&run_id, step), 1, "step {step}");
    }
    assert_eq!(behind.claims(&run_id), 1, "its claim was lost");
    behind.working.stop().await;
}

#[tokio::test]
async fn a_program_whose_creation_is_not_answered_is_created_once() {
    let Some(mut behind) = Behind::start(Duration::from_secs(3)).await else {
        return;
    };
    Make::linger(&behind.fresh, When::Creation);
    let through = behind.through.clone();
    let create = tokio::spawn(async move { Count.create(&through).await });
    let executor = behind.executor.clone();
    let programs = async || {
        let filter = executor::Filter::new().limit(1000);
        executor.list(filter).await.expect("a list").len()
    };
    let before = programs().await;
    behind
        .lose_the_answer(async || programs().await > before)
        .await;
    let run_id = create.await.expect("no panic").expect("created");
    all_finish(&behind.executor, std::slice::from_ref(&run_id), 1).await;
    assert_eq!(programs().await, before + 1);
    assert_eq!(behind.tally.of(&run_id, 0), 1);
    behind.working.stop().await;
}

/// Notes in the database that it ran.
#[job]
async fn book(ctx: Context, mut tx: Tx<Db>) -> Result<(), JobError> {
    let insert = format!("INSERT INTO moves VALUES ('{}')", ctx.run_id());
    let conn = tx.conn().await?;
    diesel::sql_query(insert).execute(conn).await?;
    Ok(())
}

#[derive(diesel::QueryableByName)]
struct Moves {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

#[tokio::test]
async fn a_transaction_whose_commit_is_not_answered_is_done_once() {
    let Some(mut behind) = Behind::start(Duration::from_secs(3)).await else {
        return;
    };
    behind
        .fresh
        .sql("CREATE TABLE moves (run_id varchar(64) NOT NULL)");
    behind
        .proxy
        .stall_answers_after(&["INSERT INTO moves", "COMMIT"]);
    let program = Program::new(()).then(Book).then(Count);
    let run_id = program.create(&behind.executor).await.expect("created");
    let stalled = async || behind.proxy.stalls_answers();
    until("it is being committed", stalled).await;
    let fresh = behind.fresh.url();
    let moves = async || {
        let mut conn = Db::establish(&fresh).await.expect("a login");
        let count = diesel::sql_query("SELECT COUNT(*) AS count FROM moves");
        let moves: Moves = count.get_result(&mut conn).await.expect("a row");
        moves.count
    };
    until("it is committed", async || moves().await == 1).await;
    behind.proxy.cut().await;
    behind.proxy.resume().await;
    all_finish(&behind.executor, std::slice::from_ref(&run_id), 2).await;
    assert_eq!(moves().await, 1);
    assert_eq!(behind.tally.of(&run_id, 1), 1);
    assert_eq!(behind.claims(&run_id), 1, "its claim was lost");
    behind.working.stop().await;
}
