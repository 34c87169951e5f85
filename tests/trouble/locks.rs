//! Somebody else who holds rows locked.

use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use executor::{ProgramState, RunId, prelude::*};
use executor_tests::until;

use crate::{
    Db,
    behind::Behind,
    trouble::{Count, Hold, all_finish, create, get},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_holds_locked_holds_up_nobody_else() {
    let lease = Duration::from_secs(1);
    let Some(behind) = Behind::start(lease).await else {
        return;
    };
    let program = || Program::new(()).then(Hold).then(Count);
    let locked = program().create(&behind.executor).await.expect("created");
    let stopped = program().create(&behind.executor).await.expect("created");
    for run_id in [&locked, &stopped] {
        until("it runs", async || behind.tally.of(run_id, 0) == 1).await;
    }
    let somebody = Db::establish(&behind.fresh.url()).await;
    let mut somebody = somebody.expect("a login");
    // By the primary key: where a client of MySQL goes by another one, it locks what lies between
    // the rows too, and creators wait for it.
    let stop = |run_id: &RunId| {
        let from = format!("programs WHERE run_id = '{run_id}'");
        let id = behind.fresh.value("id", &from).expect("an id");
        format!("UPDATE programs SET errored_at = now(), error_message = 'by hand' WHERE id = {id}")
    };
    let both = format!("BEGIN; {}; {}", stop(&locked), stop(&stopped));
    somebody.batch_execute(&both).await.expect("locked");
    let began = Instant::now();
    let run_ids = create(&behind.executor, 100, 2).await;
    all_finish(&behind.executor, &run_ids, 2).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "they were held up"
    );
    // One of the two ends under the lock, as the first in the queue.
    behind.tally.gate.add_permits(1);
    until("two leases are over", async || began.elapsed() > 2 * lease).await;
    let run_ids = create(&behind.executor, 100, 2).await;
    all_finish(&behind.executor, &run_ids, 2).await;
    assert_eq!(get(&behind.executor, &locked).await.step, 0);
    somebody.batch_execute("ROLLBACK").await.expect("unlocked");
    // The other one's lease is extended again.
    let leases = async || {
        let first = get(&behind.executor, &locked).await.state;
        let second = get(&behind.executor, &stopped).await.state;
        let states = (first, second);
        states == (ProgramState::Finished, ProgramState::Running)
            || states == (ProgramState::Running, ProgramState::Finished)
    };
    until("one has finished and one runs", leases).await;
    let ends = get(&behind.executor, &locked).await.state.is_terminal();
    let (first, second) = if ends {
        (locked, stopped)
    } else {
        (stopped, locked)
    };
    all_finish(&behind.executor, std::slice::from_ref(&first), 2).await;

    // And now it is stopped by hand, and the body with it.
    let lock = format!("BEGIN; {}", stop(&second));
    somebody.batch_execute(&lock).await.expect("locked");
    let locked = Instant::now();
    until("a beat has met the lock", async || locked.elapsed() > lease).await;
    somebody.batch_execute("COMMIT").await.expect("stopped");
    until("its body has gone", async || {
        let program = get(&behind.executor, &second).await;
        program.lease_until.is_none()
    })
    .await;
    let program = get(&behind.executor, &second).await;
    assert_eq!(program.state, ProgramState::Errored, "{program:?}");
    assert_eq!(program.error_message.as_deref(), Some("by hand"));
    assert_eq!(program.step, 0, "{program:?}");
    assert_eq!(behind.tally.repeated(), []);
    behind.working.stop().await;
}
