//! Which program runs when: order, times, queues and unique keys.

#[path = "../board.rs"]
#[allow(dead_code, reason = "not every test uses all of the stage")]
mod board;

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use board::{Stage, WaitForGate, marked};
use executor::{Filter, ProgramState, prelude::*};
use executor_tests::{Working, until};

#[tokio::test]
async fn a_step_of_priority_is_worth_a_minute_of_waiting() {
    let stage = Stage::set(|builder| builder.slots(1)).await;
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let run_ids = [
        stage.create(marked("now")).await,
        stage
            .create(marked("now, a minute better").priority(-1))
            .await,
        stage.create(marked("for 90 s").run_at(ago(90))).await,
        stage
            .create(
                marked("for 90 s, a minute worse")
                    .priority(1)
                    .run_at(ago(90)),
            )
            .await,
        stage
            .create(
                marked("for an hour, two hours worse")
                    .priority(120)
                    .run_at(ago(3600)),
            )
            .await,
    ];
    let working = Working::start(&stage.executor);
    stage.all_finish(&run_ids).await;
    let expected = [
        "for 90 s",
        "now, a minute better",
        "for 90 s, a minute worse",
        "now",
        "for an hour, two hours worse",
    ];
    assert_eq!(stage.board.order(), expected);
    working.stop().await;
}

#[tokio::test]
async fn programs_of_one_moment_run_in_the_order_of_their_creation() {
    let stage = Stage::set(|builder| builder.slots(1).queues(["a", "b"])).await;
    let programs = (10..40).map(|n| marked(n).queue(if n % 2 == 0 { "a" } else { "b" }));
    let created = stage.executor.create_many(programs).await.expect("created");
    let run_ids: Vec<_> = created
        .into_iter()
        .map(|one| one.expect("created").run_id)
        .collect();
    let working = Working::start(&stage.executor);
    stage.all_finish(&run_ids).await;
    assert_eq!(
        stage.board.order(),
        (10..40).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    working.stop().await;
}

#[tokio::test]
async fn a_scheduled_program_waits_for_its_time() {
    let stage = Stage::set(|builder| builder).await;
    let working = Working::start(&stage.executor);
    let soon = SystemTime::now() + Duration::from_millis(400);
    let at = stage.create(marked("at").priority(-100).run_at(soon)).await;
    let after = stage
        .create(marked("after").run_after(Duration::from_millis(600)))
        .await;
    let never = stage
        .create(marked("never").run_after(Duration::from_secs(3600)))
        .await;
    let first = stage.create(marked("at once")).await;
    let waits = stage.get(&at).await;
    assert_eq!(waits.state, ProgramState::Scheduled);
    assert!(
        waits.reason().expect("a reason").starts_with("due at 2"),
        "{:?}",
        waits.reason()
    );
    stage.all_finish(&[first, after.clone(), at.clone()]).await;
    assert_eq!(stage.board.order(), ["at once", "at", "after"]);
    for run_id in [at, after] {
        let program = stage.get(&run_id).await;
        assert!(
            program.finished_at > program.available_at,
            "too early: {program:?}"
        );
        let late = program
            .finished_at
            .expect("ended")
            .since(program.available_at.expect("due"));
        assert!(late < Duration::from_secs(5), "{late:?} late");
    }
    assert_eq!(stage.get(&never).await.state, ProgramState::Scheduled);
    working.stop().await;
}

#[tokio::test]
async fn a_rescheduled_program_runs_at_its_new_time() {
    let stage = Stage::set(|builder| builder).await;
    let working = Working::start(&stage.executor);
    let run_id = stage
        .create(marked("late").run_after(Duration::from_secs(3600)))
        .await;
    assert!(
        stage
            .executor
            .reschedule(&run_id, SystemTime::now())
            .await
            .expect("done")
    );
    stage.all_finish(&[run_id]).await;
    assert!(
        !stage
            .executor
            .reschedule(&"nobody".into(), SystemTime::now())
            .await
            .expect("an answer")
    );
    working.stop().await;
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    let stage = Stage::set(|builder| builder.queues(["mail", "other"])).await;
    assert!(stage.executor.pause("mail").await.expect("paused"));
    assert!(!stage.executor.pause("mail").await.expect("paused already"));
    let working = Working::start(&stage.executor);
    let mail = stage
        .create(marked("mail").priority(-10).queue("mail"))
        .await;
    let other = stage.create(marked("other").queue("other")).await;
    stage.all_finish(&[other]).await;
    assert_eq!(stage.get(&mail).await.state, ProgramState::Available);
    assert!(stage.executor.stats().await.expect("stats").queues["mail"].paused);
    assert!(stage.executor.resume("mail").await.expect("resumed"));
    assert!(!stage.executor.resume("mail").await.expect("not paused"));
    stage.all_finish(&[mail]).await;
    assert_eq!(stage.board.order(), ["other", "mail"]);
    working.stop().await;
}

#[tokio::test]
async fn a_program_of_a_paused_queue_stops_after_its_present_step() {
    let stage = Stage::set(|builder| builder.queues(["mail", "other"])).await;
    let working = Working::start(&stage.executor);
    let program = Program::new(())
        .then(WaitForGate)
        .then(marked("mail"))
        .queue("mail");
    let mail = stage.create(program).await;
    until("it runs", async || stage.board.inside() == 1).await;
    assert!(stage.executor.pause("mail").await.expect("paused"));
    stage.board.gate.0.add_permits(1);
    until("its step is done", async || stage.get(&mail).await.step > 0).await;
    let other = stage.create(marked("other").queue("other")).await;
    stage.all_finish(&[other]).await;
    let waits = stage.get(&mail).await;
    assert_eq!(
        (waits.state, waits.step),
        (ProgramState::Available, 1),
        "{waits:?}"
    );
    stage.executor.resume("mail").await.expect("resumed");
    stage.all_finish(&[mail]).await;
    assert_eq!(stage.board.order(), ["other", "mail"]);
    working.stop().await;
}

#[tokio::test]
async fn a_queue_that_nobody_works_waits() {
    let stage = Stage::set(|builder| builder).await;
    let working = Working::start(&stage.executor);
    let alone = stage
        .create(marked("alone").priority(-10).queue("alone"))
        .await;
    let default = stage.create(marked("default")).await;
    stage.all_finish(&[default]).await;
    assert_eq!(stage.get(&alone).await.state, ProgramState::Available);
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_creators_of_one_key_make_one_program() {
    let stage = Stage::set(|builder| builder).await;
    // Creators of one process share commits: half of them have a connection of their own.
    let second = stage.fresh.builder().connect().await.expect("connected");
    let create = |n: usize, key: &'static str| {
        let executor = if n.is_multiple_of(2) {
            stage.executor.clone()
        } else {
            second.clone()
        };
        tokio::spawn(async move {
            executor
                .create(marked(n).unique(key))
                .await
                .expect("created")
        })
    };
    let creators: Vec<_> = (0..32).map(|n| create(n, "customer:7")).collect();
    let mut run_ids = BTreeSet::new();
    let mut made = 0;
    for creator in creators {
        let created = creator.await.expect("no panic");
        made += usize::from(!created.existed);
        run_ids.insert(created.run_id);
    }
    assert_eq!((run_ids.len(), made), (1, 1));
    assert_eq!(
        stage
            .executor
            .list(Filter::new())
            .await
            .expect("a list")
            .len(),
        1
    );
    let another = create(0, "customer:8").await.expect("no panic");
    assert!(!another.existed);

    // An ended program has no key any more; nor has one that was stopped by hand.
    let working = Working::start(&stage.executor);
    let first = run_ids.pop_first().expect("the one");
    stage.all_finish(&[first, another.run_id]).await;
    working.stop().await;
    let next = create(0, "customer:7").await.expect("no panic");
    assert!(!next.existed);
    stage
        .fresh
        .sql("UPDATE programs SET errored_at = CURRENT_TIMESTAMP WHERE finished_at IS NULL");
    let last = create(1, "customer:7").await.expect("no panic");
    assert!(!last.existed);
    let error = stage
        .executor
        .retry(&next.run_id)
        .await
        .expect_err("its key is taken");
    assert!(error.to_string().contains(last.run_id.as_str()), "{error}");
}

/// In a runtime of one thread, as this one is.
#[tokio::test]
async fn who_gives_up_waiting_for_the_store_harms_nobody() {
    let stage = Stage::set(|builder| builder).await;
    let run_id = stage.create(marked("it")).await;
    for _ in 0..100 {
        tokio::select! {
            biased;
            found = stage.executor.get(&run_id) => drop(found.expect("read")),
            () = tokio::task::yield_now() => {}
        }
        tokio::select! {
            biased;
            changed = stage.executor.pause("another") => drop(changed.expect("written")),
            () = tokio::task::yield_now() => {}
        }
    }
    let working = Working::start(&stage.executor);
    stage.all_finish(&[run_id]).await;
    working.stop().await;
}
