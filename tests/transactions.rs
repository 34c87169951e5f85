//! What must hold of jobs with a `Tx`, whichever database it is.

use std::time::Duration;

use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use executor::{DynProgram, ErrorKind, Executor, Filter, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, Process, Store, Working, ended, until};

use crate::{
    BANK,
    bank::{self, Abstain, Parent, Spill, Transfer},
};

const ACCOUNTS: i32 = 4;
const COINS: i64 = 1000;

/// `None`: this run is about another database than the bank's.
async fn open() -> Option<(Fresh, Executor)> {
    let fresh = Fresh::only_on(bank::store())?;
    bank::open(&fresh, ACCOUNTS as usize, COINS);
    let executor = fresh.builder().connect().await.expect("connected");
    Some((fresh, executor))
}

fn moves(fresh: &Fresh, run_id: &RunId) -> usize {
    let from = format!("moves WHERE run_id = '{run_id}'");
    let count = fresh.value("COUNT(*)", &from).expect("a number");
    count.parse().expect("a number")
}

fn total(fresh: &Fresh) -> i64 {
    let sum = fresh.value("SUM(balance)", "accounts");
    sum.expect("accounts").parse().expect("a number")
}

/// Transfers in three steps each.
async fn create(executor: &Executor, programs: i32) -> Vec<RunId> {
    let mut run_ids = Vec::new();
    for number in 0..programs {
        let program = (0..3).fold(DynProgram::new(()), |program, step| {
            let from = (number + step) % ACCOUNTS;
            let to = (number + step + 1) % ACCOUNTS;
            program.then(Transfer { from, to })
        });
        run_ids.push(program.create(executor).await.expect("created"));
    }
    run_ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_move_each_coin_exactly_once() {
    let Some((fresh, executor)) = open().await else {
        return;
    };
    let run_ids = create(&executor, 150).await;
    let ledger = fresh.ledger();
    let start = || -> Process {
        fresh
            .worker(BANK)
            .lease(Duration::from_secs(1))
            .set("EXECUTOR_SLOTS", 4)
            .set("EXECUTOR_MAX_CRASHES", 1000)
            .start()
    };
    let mut workers: Vec<_> = (0..3).map(|_| start()).collect();
    for kill in 0..15 {
        let seen = ledger.count("start");
        until("a worker works", async || ledger.count("start") > seen + 5).await;
        // Somewhere in the middle of a transfer, of its commit, or between two.
        tokio::time::sleep(Duration::from_micros(613 * kill)).await;
        workers.remove(0).kill();
        workers.push(start());
    }
    until("all have ended", async || {
        let unfinished = [
            ProgramState::Available,
            ProgramState::Running,
            ProgramState::Scheduled,
        ];
        let filter = unfinished.into_iter().fold(Filter::new(), Filter::state);
        executor.list(filter).await.expect("a list").is_empty()
    })
    .await;
    for run_id in &run_ids {
        let program = executor.get(run_id).await.expect("read").expect("there");
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        assert_eq!(moves(&fresh, run_id), 3, "each step once");
    }
    assert_eq!(total(&fresh), COINS * i64::from(ACCOUNTS));
    let repeated = ledger.count("start") - 450;
    assert!(repeated > 0, "the kills hit no transfer at all");
}

#[tokio::test]
async fn what_a_failed_job_has_written_does_not_stay() {
    let Some((fresh, executor)) = open().await else {
        return;
    };
    let working = Working::start(&executor);
    for how in ["error", "panic", "nested"] {
        let run_id = Spill::new(how.to_owned()).create(&executor).await;
        let run_id = run_id.expect("created");
        let program = if how == "nested" {
            // The job has left a transaction of its own open: it is told so, and tried again.
            until("it was told", async || {
                let program = executor.get(&run_id).await.expect("read").expect("there");
                program.error_message.is_some()
            })
            .await;
            executor.cancel(&run_id).await.expect("unfinished");
            executor.get(&run_id).await.expect("read").expect("there")
        } else {
            ended(&executor, &run_id).await
        };
        assert_eq!(program.state, ProgramState::Errored, "{program:?}");
        assert_eq!(moves(&fresh, &run_id), 0, "{how}");
        assert_eq!(program.job_data["spill"]["saved"], 0, "{program:?}");
    }
    // The store's connections are as they were.
    let fine = Spill::new("fine".to_owned()).create(&executor).await;
    let fine = fine.expect("created");
    let program = ended(&executor, &fine).await;
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    assert_eq!(moves(&fresh, &fine), 1);
    assert_eq!(program.job_data["spill"]["saved"], 7, "{program:?}");
    assert_eq!(program.output(), Some(&7.into()));
    working.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_leaves_nothing_of_its_transaction() {
    let Some((fresh, executor)) = open().await else {
        return;
    };
    let mut worker = fresh.worker(BANK).lease(Duration::from_secs(3)).start();
    let run_id = Spill::new("wait".to_owned()).create(&executor).await;
    let run_id = run_id.expect("created");
    until("it has written", async || {
        fresh.ledger().count("written") > 0
    })
    .await;
    // On SQLite the job holds the only writer: it is cancelled by itself, and tried again.
    let cancelled = executor.cancel(&run_id).await;
    assert!(cancelled.expect("unfinished"));
    let after = Abstain::default().create(&executor).await.expect("created");
    let program = ended(&executor, &after).await;
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    assert_eq!(program.job_data["abstain"]["saved"], 3, "{program:?}");
    assert_eq!(moves(&fresh, &run_id), 0);
    assert!(!worker.has_ended());
    worker.stop().await;
}

#[tokio::test]
async fn a_job_sees_its_own_writes_and_its_children_come_with_them() {
    let Some((fresh, executor)) = open().await else {
        return;
    };
    let working = Working::start(&executor);
    let run_id = Parent.create(&executor).await.expect("created");
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.output(), Some(&1.into()), "{program:?}");
    let children = executor.children(&run_id).await.expect("read");
    assert_eq!(children.len(), 1);
    let child = ended(&executor, &children[0]).await;
    assert_eq!(child.state, ProgramState::Finished, "{child:?}");
    assert_eq!(moves(&fresh, &run_id), 1);
    working.stop().await;
}

#[tokio::test]
async fn a_program_created_in_a_transaction_is_there_if_it_commits() {
    let Some((fresh, executor)) = open().await else {
        return;
    };
    let working = Working::start(&executor);
    let mut conn = bank::connect(&fresh).await;
    let mut first = None;
    let rolled_back = conn
        .transaction(async |conn| {
            first = Some(Abstain::default().create_in(&executor, conn).await?);
            Err::<(), _>(JobError::fatal("changed my mind"))
        })
        .await;
    assert!(rolled_back.is_err());
    let first = first.expect("it was created");
    assert!(executor.get(&first).await.expect("read").is_none());
    let created = conn
        .transaction(async |conn| {
            let created = executor
                .create_in(Abstain::default().unique("once"), conn)
                .await?;
            let again = executor
                .create_in(Abstain::default().unique("once"), conn)
                .await?;
            assert!(again.existed && again.run_id == created.run_id);
            Ok::<_, JobError>(created)
        })
        .await;
    let created = created.map_err(|e| e.to_string()).expect("committed");
    let program = ended(&executor, &created.run_id).await;
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    working.stop().await;
}

#[tokio::test]
async fn a_key_that_a_transaction_cannot_see_is_told_of() {
    let Some((fresh, executor)) = open().await else {
        return;
    };
    let begin = match bank::store() {
        // It has one writer: nobody can take a key while a transaction that creates is open.
        Store::Sqlite => return,
        Store::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        Store::MySql => "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; BEGIN",
    };
    let mut conn = crate::Db::establish(&fresh.url()).await.expect("a login");
    conn.batch_execute(begin).await.expect("begun");
    let look = "SELECT * FROM programs";
    conn.batch_execute(look).await.expect("a snapshot");
    let once = || Abstain::default().unique("once");
    let holder = once().create(&executor).await.expect("created");
    let refused = executor.create_in(once(), &mut conn).await.map(drop);
    let refused = refused.expect_err("it sees no holder").to_string();
    assert!(refused.contains("READ COMMITTED"), "{refused}");
    conn.batch_execute("ROLLBACK").await.expect("over");
    let again = executor.create_in(once(), &mut conn).await;
    assert_eq!(again.expect("it sees it").run_id, holder);
}

#[tokio::test]
async fn a_worker_on_another_store_refuses_to_start() {
    let elsewhere = match bank::store() {
        Store::Sqlite => Fresh::on(Store::Postgres),
        Store::Postgres | Store::MySql => Fresh::on(Store::Sqlite),
    };
    let Some(elsewhere) = elsewhere else {
        return;
    };
    let other = elsewhere.builder();
    let other = other.connect().await.expect("connected");
    let refused = other.work_until(std::future::pending()).await;
    let error = refused.expect_err("it has jobs of another store");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains(bank::NAME), "{error}");
}
