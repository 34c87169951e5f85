//! What is done to many programs.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{Stage, new_program};
use crate::{
    Filter, ProgramState, RunId,
    program::Options,
    store::{Afterwards, Batch, Bulk, BulkVerb, Change, Ended, Target},
};

impl Stage {
    async fn create_in_queue(&self, queue: &str) -> RunId {
        let options = Options {
            queue: Some(queue.into()),
            ..Options::default()
        };
        self.create_with(&["a"], options).await.expect("stored")
    }

    async fn cancel(&self, run_id: &RunId, message: &str) {
        let cancelled = self.store.cancel(run_id.clone(), message.to_owned()).await;
        assert!(cancelled.expect("unfinished"));
    }

    async fn bulk(&self, verb: BulkVerb, filter: &Filter, floor: i64, limit: usize) -> Batch {
        let bulk = bulk(verb, filter);
        self.store.bulk(bulk, floor, limit).await.expect("reached")
    }

    async fn count(&self, verb: BulkVerb, filter: &Filter) -> usize {
        self.store.count(bulk(verb, filter)).await.expect("read")
    }

    /// The programs that a list shows, and that a verb for all counts.
    async fn found(&self, filter: &Filter) -> Vec<RunId> {
        let list = self.store.list(filter.clone()).await.expect("read");
        assert_eq!(
            self.count(BulkVerb::Delete, filter).await,
            list.len(),
            "{filter:?}"
        );
        list.into_iter().map(|program| program.run_id).collect()
    }
}

fn bulk(verb: BulkVerb, filter: &Filter) -> Arc<Bulk> {
    let filter = filter.clone();
    Arc::new(Bulk { verb, filter })
}

pub(in crate::store) async fn programs_are_pruned_by_state_and_queue(stage: Stage) {
    let mut ended = Vec::new();
    for queue in ["one", "two", "Two"] {
        for state in [ProgramState::Finished, ProgramState::Errored] {
            let run_id = stage.create_in_queue(queue).await;
            match state {
                ProgramState::Errored => stage.cancel(&run_id, "x").await,
                _ => {
                    let target = Target::RunId(run_id.clone());
                    let done = stage.store.complete(target, None, Afterwards::Keep).await;
                    assert!(done.expect("waits"));
                }
            }
            ended.push((queue, state, run_id));
        }
    }
    // A program that was finished and then stopped by hand counts as errored; one that waits as neither.
    let waits = stage.create_in_queue("waits").await;
    for state in [ProgramState::Finished, ProgramState::Errored] {
        let mut queues = Vec::new();
        let mut last = String::new();
        while let Some(next) = stage.store.queue_of_ended(state, last).await.expect("read") {
            last = next.clone();
            queues.push(next);
        }
        assert_eq!(queues, ["Two", "one", "two"], "{state}");
    }
    for (queue, state, run_id) in ended {
        let old = |age| Ended {
            state,
            queue: queue.to_owned(),
            age,
        };
        let hour = Duration::from_secs(3600);
        assert_eq!(stage.store.count_ended(old(hour)).await.expect("read"), 0);
        assert_eq!(stage.store.prune(old(hour), 10).await.expect("reached"), 0);
        assert_eq!(
            stage
                .store
                .count_ended(old(Duration::ZERO))
                .await
                .expect("read"),
            1
        );
        assert_eq!(
            stage
                .store
                .prune(old(Duration::ZERO), 10)
                .await
                .expect("reached"),
            1
        );
        assert!(stage.store.get(run_id).await.expect("read").is_none());
    }
    assert_eq!(stage.state(&waits).await, ProgramState::Available);
}

pub(in crate::store) async fn a_filter_means_the_same_everywhere(stage: Stage) {
    let before = SystemTime::now() - Duration::from_secs(60);
    let after = SystemTime::now() + Duration::from_secs(60);
    let attributes = [
        json!({"n": 1, "plan": "gold", "who": {"id": 7, "tags": ["a", "b"]}}),
        json!({"n": 1.0, "plan": "Gold", "who": {"tags": ["a", "b"], "id": 7.0}}),
        json!({"n": "1", "plan": null, "who": {"id": 7}}),
        json!({"n": true, "plan": ["gold"], "ünï \"x\"": "ő"}),
        json!({"n": [1], "plan": ""}),
        json!({}),
    ];
    let mut run_ids = Vec::new();
    for attributes in &attributes {
        let mut program = new_program(&["a"], Options::default());
        program.program.attributes = attributes.to_string();
        run_ids.push(program.run_id.clone());
        stage.store.create(vec![program]).await.expect("reached");
    }
    let expect = async |name: &str, value: Value, which: &[usize]| {
        let filter = Filter::new().attribute(name, value.clone());
        let mut wanted: Vec<_> = which.iter().map(|at| run_ids[*at].clone()).collect();
        wanted.reverse();
        assert_eq!(stage.found(&filter).await, wanted, "{name} = {value}");
    };
    expect("n", json!(1), &[0, 1]).await;
    expect("n", json!(1.0), &[0, 1]).await;
    expect("n", json!("1"), &[2]).await;
    expect("n", json!(true), &[3]).await;
    expect("n", json!([1]), &[4]).await;
    expect("plan", json!("gold"), &[0]).await;
    expect("plan", json!("g%"), &[]).await;
    expect("plan", json!(null), &[2]).await;
    expect("plan", json!(""), &[4]).await;
    expect("who", json!({"id": 7, "tags": ["a", "b"]}), &[0, 1]).await;
    expect("ünï \"x\"", json!("ő"), &[3]).await;
    expect("missing", json!(null), &[]).await;
    let both = Filter::new().attribute("n", 1).attribute("plan", "gold");
    assert_eq!(stage.found(&both).await, [run_ids[0].clone()]);
    let newest = stage.found(&Filter::new().attribute("n", 1).limit(1)).await;
    assert_eq!(newest, [run_ids[1].clone()]);
    for (filter, number) in [
        (Filter::new().created_after(before), 6),
        (Filter::new().created_after(before).created_before(after), 6),
        (Filter::new().created_before(before), 0),
        (Filter::new().created_after(after), 0),
    ] {
        assert_eq!(stage.found(&filter).await.len(), number, "{filter:?}");
    }
}

pub(in crate::store) async fn a_text_in_a_filter_is_only_a_text(stage: Stage) {
    let messages = [
        "100% of it_s gone",
        "100 percent",
        "Connection refused",
        "it's \"quoted\" \\ here",
        "'; DROP TABLE programs; --",
        "{t} ? {now_ms} $1",
        "ő",
    ];
    let mut run_ids = Vec::new();
    for message in messages {
        let run_id = stage.create(&["a"]).await;
        stage.cancel(&run_id, message).await;
        run_ids.push(run_id);
    }
    stage.create(&["a"]).await;
    for (text, at) in [
        ("100%", 0),
        ("it_s", 0),
        ("percent", 1),
        ("Connection", 2),
        ("\"quoted\" \\", 3),
        ("'; DROP", 4),
        ("{t} ? {now_ms} $1", 5),
        ("ő", 6),
    ] {
        let found = stage.found(&Filter::new().error(text)).await;
        assert_eq!(found, [run_ids[at].clone()], "{text:?}");
    }
    for text in ["connection", "1__ percent", "%", "_"] {
        let literal = messages
            .iter()
            .filter(|message| message.contains(text))
            .count();
        let found = stage.found(&Filter::new().error(text)).await;
        assert_eq!(found.len(), literal, "{text:?}");
    }
    assert_eq!(
        stage.found(&Filter::new().error("")).await.len(),
        messages.len()
    );
    for filter in [
        Filter::new().queue("' OR 1 = 1 --"),
        Filter::new().name("%"),
        Filter::new().job("a' OR 'a' = 'a"),
        Filter::new().attribute("' OR 1 = 1 --", "x"),
    ] {
        assert!(stage.found(&filter).await.is_empty(), "{filter:?}");
    }
}

pub(in crate::store) async fn many_are_cancelled_batch_by_batch(stage: Stage) {
    let filter = Filter::new().queue("mail");
    let mut mails = Vec::new();
    for _ in 0..5 {
        mails.push(stage.create_in_queue("mail").await);
        stage.create_in_queue("other").await;
    }
    stage.cancel(&mails[1], "before").await;
    assert_eq!(stage.count(BulkVerb::Cancel, &filter).await, 4);
    let first = stage.bulk(BulkVerb::Cancel, &filter, i64::MIN, 3).await;
    assert_eq!(first.done, 3);
    assert_eq!(stage.count(BulkVerb::Cancel, &filter).await, 1);
    let second = stage
        .bulk(BulkVerb::Cancel, &filter, first.floor.expect("more"), 3)
        .await;
    assert_eq!(second.done, 1);
    let third = stage
        .bulk(BulkVerb::Cancel, &filter, second.floor.expect("a row"), 3)
        .await;
    assert_eq!((third.done, third.floor), (0, None));
    for (at, run_id) in mails.iter().enumerate() {
        let message = if at == 1 { "before" } else { "cancelled" };
        let program = stage.get(run_id).await;
        assert_eq!(program.error_message.as_deref(), Some(message), "{at}");
        assert!(program.errored_at.is_some() && program.finished_at.is_none());
    }
    let others = Filter::new().queue("other").state(ProgramState::Available);
    assert_eq!(stage.count(BulkVerb::Cancel, &others).await, 5);
    let deleted = stage.bulk(BulkVerb::Delete, &filter, i64::MIN, 10).await;
    assert_eq!(deleted.done, 5);
    assert_eq!(stage.found(&Filter::new()).await.len(), 5);
}

pub(in crate::store) async fn a_retry_of_many_leaves_taken_keys(stage: Stage) {
    let keyed = || Options {
        unique_key: Some("k".into()),
        ..Options::default()
    };
    let with_key = stage.create_with(&["a"], keyed()).await.expect("stored");
    let half_done = stage.create(&["b", "c"]).await;
    let request = super::ClaimRequest {
        jobs: Arc::new(super::KnownJobs {
            names: ["b"].into_iter().collect(),
            others: false,
        }),
        ..stage.request()
    };
    let claimed = stage.claim_with(request).await.remove(0);
    stage.write(claimed.fence, super::advance("c", None)).await;
    let other = stage.create(&["a"]).await;
    let unfinished = stage.create(&["a"]).await;
    for run_id in [&with_key, &half_done, &other] {
        stage.cancel(run_id, "down").await;
    }
    let all = Filter::new();
    assert_eq!(stage.count(BulkVerb::Retry, &all).await, 3);
    let batch = stage.bulk(BulkVerb::Retry, &all, i64::MIN, 10).await;
    assert_eq!((batch.done, batch.refused), (2, 0));
    assert_eq!(batch.one_by_one, [with_key]);
    assert_eq!(stage.state(&other).await, ProgramState::Available);
    assert_eq!(stage.state(&unfinished).await, ProgramState::Available);
    // Its body may still run under the lease that it had.
    let half_done = stage.get(&half_done).await;
    assert_eq!(
        (half_done.state, half_done.step),
        (ProgramState::Scheduled, 1)
    );
    let mut jobs: Vec<_> = stage.claim().await.into_iter().map(|one| one.job).collect();
    jobs.sort();
    assert_eq!(jobs, ["a", "a"]);
}

pub(in crate::store) async fn what_no_longer_matches_is_left_alone(stage: Stage) {
    // All jobs are done, and it was stopped in the moment before it was recorded.
    let done = stage.create(&["a"]).await;
    let claimed = stage.claim_one().await;
    stage.cancel(&done, "stopped").await;
    stage
        .write(claimed.fence, Change::Finish { outputs: None })
        .await;
    let running = stage.create(&["a"]).await;
    stage.claim_one().await;
    let retried = stage
        .bulk(BulkVerb::Retry, &Filter::new(), i64::MIN, 10)
        .await;
    assert_eq!(retried.done, 1);
    assert_eq!(stage.state(&done).await, ProgramState::Finished);
    let waiting = Filter::new().state(ProgramState::Available);
    assert_eq!(
        stage
            .bulk(BulkVerb::Cancel, &waiting, i64::MIN, 10)
            .await
            .done,
        0
    );
    assert_eq!(stage.state(&running).await, ProgramState::Running);
    let all = Filter::new();
    assert_eq!(
        stage.bulk(BulkVerb::Cancel, &all, i64::MIN, 10).await.done,
        1
    );
    assert_eq!(stage.state(&done).await, ProgramState::Finished);
}

pub(in crate::store) async fn a_report_may_delete(stage: Stage) {
    let alone = stage.create(&["a"]).await;
    let failing = stage.create(&["a"]).await;
    let longer = stage.create(&["a", "b"]).await;
    let target = |run_id: &RunId| Target::RunId(run_id.clone());
    let done = stage
        .store
        .complete(target(&alone), Some("1".to_owned()), Afterwards::Delete);
    assert!(done.await.expect("it waits"));
    let failed = stage
        .store
        .fail(target(&failing), "x".to_owned(), Afterwards::Delete);
    assert!(failed.await.expect("it waits"));
    for run_id in [&alone, &failing] {
        assert!(
            stage
                .store
                .get(run_id.clone())
                .await
                .expect("read")
                .is_none()
        );
    }
    // Where more jobs come, it goes on.
    stage
        .store
        .hand_off(longer.clone())
        .await
        .expect("it waits");
    let token = stage.get(&longer).await.hand_off_token.expect("handed off");
    let done = stage
        .store
        .complete(Target::Token(token), None, Afterwards::Delete);
    assert!(done.await.expect("it waits"));
    assert_eq!(stage.get(&longer).await.step, 1);
}

/// Where one transaction writes at a time (SQLite), there are no locked rows.
pub(in crate::store) async fn a_locked_row_holds_up_no_batch(stage: Stage) {
    let replacing = || Options {
        unique_key: Some("k".into()),
        replace: true,
        ..Options::default()
    };
    let locked = stage
        .create_with(&["a"], replacing())
        .await
        .expect("stored");
    let free = stage.create(&["a"]).await;
    if stage.store.name() == "SQLite" {
        return;
    }
    let mut tx = stage.store.begin().await.expect("begun");
    let within = vec![new_program(&["b"], replacing())];
    let within = stage.store.create_in(tx.conn(), within).await;
    assert!(within.expect("reached").remove(0).expect("stored").replaced);
    let all = Filter::new();
    let batch = stage.bulk(BulkVerb::Cancel, &all, i64::MIN, 10).await;
    assert_eq!(batch.done, 1, "the other one is held");
    assert_eq!(stage.state(&free).await, ProgramState::Errored);
    assert_eq!(stage.state(&locked).await, ProgramState::Available);
    drop(tx);
    // When the server has heard of it, nobody holds the row any more.
    while stage.bulk(BulkVerb::Cancel, &all, i64::MIN, 10).await.done == 0 {}
    let program = stage.get(&locked).await;
    assert_eq!(
        (program.state, program.jobs),
        (ProgramState::Errored, vec!["a".to_owned()])
    );
}
