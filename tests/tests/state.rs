//! What the application hands to its jobs, and what it hears of them.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use executor::{ErrorKind, Event, ProgramState, prelude::*};
use executor_tests::{Fresh, Working, ended};

struct Mailer {
    sent: AtomicU32,
}

#[job]
async fn send(mailer: State<Mailer>, times: State<Mutex<Vec<u32>>>) -> Result<u32, JobError> {
    let sent = mailer.sent.fetch_add(1, Ordering::SeqCst) + 1;
    times.lock().map_err(|_| "broken")?.push(sent);
    Ok(sent)
}

fn mailer() -> Mailer {
    Mailer {
        sent: AtomicU32::new(0),
    }
}

#[tokio::test]
async fn jobs_share_the_state_of_each_type() {
    let fresh = Fresh::new();
    let builder = fresh
        .builder()
        .state(mailer())
        .state(Mutex::new(vec![0_u32]));
    let executor = builder.connect().await.expect("connected");
    let working = Working::start(&executor);
    for expected in 1..=3 {
        let run_id = Send.create(&executor).await.expect("created");
        assert_eq!(
            ended(&executor, &run_id).await.output(),
            Some(&expected.into())
        );
    }
    working.stop().await;
}

#[tokio::test]
async fn missing_state_stops_a_worker_at_its_start_and_nobody_else() {
    let fresh = Fresh::new();
    let executor = fresh
        .builder()
        .state(mailer())
        .connect()
        .await
        .expect("connected");
    let run_id = Send
        .create(&executor)
        .await
        .expect("created: it runs elsewhere");
    let working = executor.work_until(std::future::pending());
    let stopped = tokio::time::timeout(Duration::from_secs(30), working).await;
    let error = stopped
        .expect("it stops by itself")
        .expect_err("it can't work");
    assert_eq!(error.kind(), ErrorKind::MissingState);
    let text = error.to_string();
    for part in [
        "the job \"send\" (",
        "state.rs:",
        "Mutex<alloc::vec::Vec<u32>>",
        ".state(…)",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    let program = executor.get(&run_id).await.expect("read").expect("there");
    assert_eq!(program.state, ProgramState::Available);
    assert_eq!(executor.workers().await.expect("workers").len(), 0);
}

#[tokio::test]
async fn a_slow_reader_of_events_gets_a_counted_gap() {
    let fresh = Fresh::new();
    let builder = fresh
        .builder()
        .state(mailer())
        .state(Mutex::new(Vec::<u32>::new()));
    let executor = builder.connect().await.expect("connected");
    let mut events = executor.events();
    let created = executor
        .create_many((0..500).map(|_| Send))
        .await
        .expect("created");
    let run_ids: Vec<_> = created
        .into_iter()
        .map(|one| one.expect("created").run_id)
        .collect();
    executor.work_until_ended(&run_ids).await.expect("they end");
    let first = events.next().await.expect("an event");
    let Event::Missed(missed) = first else {
        panic!("nothing was missed: {first:?}")
    };
    drop(executor);
    let mut seen = 0;
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Missed(_)), "{event:?}");
        seen += 1;
    }
    // Each is started, done, and finished.
    assert_eq!(missed + seen, 1500);
}
