//! Keys that only one program has.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{LEASE, Stage, advance, after, new_program};
use crate::{
    RunId,
    program::{Options, Start, UniqueFor},
    store::{Afterwards, Change, Created, NewProgram, StepWrite, Target, Written},
};

const HOUR: Duration = Duration::from_secs(3600);

fn for_a_time(key: &str, period: Duration) -> Options {
    Options {
        unique_for: Some(UniqueFor {
            key: key.into(),
            period,
        }),
        ..Options::default()
    }
}

fn replacing(key: &str) -> Options {
    Options {
        unique_key: Some(key.into()),
        replace: true,
        ..Options::default()
    }
}

impl Stage {
    async fn created(&self, program: NewProgram) -> Created {
        let created = self.store.create(vec![program]).await.expect("reached");
        created
            .into_iter()
            .next()
            .expect("one answer")
            .expect("stored")
    }

    /// What 32 who come at the same time are told.
    async fn created_at_once(&self, options: impl Fn() -> Options) -> Vec<Created> {
        let creations = (0..32).map(|_| {
            let store = Arc::clone(&self.store);
            let program = new_program(&["a"], options());
            tokio::spawn(async move { store.create(vec![program]).await })
        });
        let mut created = Vec::new();
        for creation in creations.collect::<Vec<_>>() {
            let one = creation.await.expect("no panic").expect("reached");
            created.extend(one.into_iter().map(|one| one.expect("stored")));
        }
        created
    }
}

pub(in crate::store) async fn one_program_of_a_key_in_a_time(stage: Stage) {
    let created = stage.created_at_once(|| for_a_time("mail", HOUR)).await;
    assert_eq!(created.iter().filter(|one| !one.existed).count(), 1);
    let first = &created[0].run_id;
    assert!(
        created.iter().all(|one| one.run_id == *first),
        "{created:?}"
    );
    // Whatever becomes of it.
    stage
        .store
        .cancel(first.clone(), "x".to_owned())
        .await
        .expect("unfinished");
    let again = stage
        .created(new_program(&["a"], for_a_time("mail", HOUR)))
        .await;
    assert!(
        again.existed && again.run_id == *first && !again.replaced,
        "{again:?}"
    );
    assert!(stage.store.delete(first.clone()).await.expect("reached"));
    let again = stage
        .created(new_program(&["a"], for_a_time("mail", HOUR)))
        .await;
    assert!(again.existed && again.run_id == *first, "{again:?}");
    // Keys are apart, letter by letter, and from those of unfinished programs.
    for key in ["Mail", "mail ", "m%"] {
        let other = stage
            .created(new_program(&["a"], for_a_time(key, HOUR)))
            .await;
        assert!(!other.existed, "{key:?}");
    }
    let unique = Options {
        unique_key: Some("mail".into()),
        ..Options::default()
    };
    assert!(!stage.created(new_program(&["a"], unique)).await.existed);
}

pub(in crate::store) async fn a_key_is_free_when_its_time_is_over(stage: Stage) {
    let moment = || new_program(&["a"], for_a_time("moment", Duration::from_millis(1)));
    stage
        .created(new_program(&["a"], for_a_time("long", HOUR)))
        .await;
    let mut last = stage.created(moment()).await;
    // The database's clock goes on by itself.
    for _ in 0..3 {
        let next = loop {
            let next = stage.created(moment()).await;
            if !next.existed {
                break next;
            }
            assert_eq!(next.run_id, last.run_id);
        };
        last = next;
    }
    // Keys of the past are forgotten, and no others.
    while stage.store.clear_unique(10).await.expect("reached") == 0 {}
    assert_eq!(stage.store.clear_unique(10).await.expect("reached"), 0);
    let long = stage
        .created(new_program(&["a"], for_a_time("long", HOUR)))
        .await;
    assert!(long.existed);
}

pub(in crate::store) async fn a_key_is_kept_only_by_what_is_stored(stage: Stage) {
    let program = || new_program(&["a"], for_a_time("mine", HOUR));
    let mut tx = stage.store.begin().await.expect("begun");
    let within = stage.store.create_in(tx.conn(), vec![program()]).await;
    let within = within.expect("reached").remove(0).expect("stored");
    assert!(!within.existed);
    let twice = stage.store.create_in(tx.conn(), vec![program()]).await;
    assert_eq!(
        twice.expect("reached").remove(0).expect("stored").run_id,
        within.run_id
    );
    drop(tx);
    let outside = stage.created(program()).await;
    assert!(!outside.existed, "the transaction has come to nothing");
    assert!(stage.created(program()).await.existed);
}

pub(in crate::store) async fn keys_are_kept_in_whatever_order_they_come(stage: Stage) {
    let creations = (0..8).map(|turn| {
        let store = Arc::clone(&stage.store);
        let mut programs: Vec<_> = (0..20)
            .map(|key| new_program(&["a"], for_a_time(&format!("k{key}"), HOUR)))
            .collect();
        if turn % 2 == 1 {
            programs.reverse();
        }
        tokio::spawn(async move { store.create(programs).await })
    });
    let mut new = 0;
    for creation in creations.collect::<Vec<_>>() {
        let created = creation.await.expect("no panic").expect("reached");
        assert_eq!(created.len(), 20);
        new += created
            .into_iter()
            .filter(|one| !one.as_ref().expect("stored").existed)
            .count();
    }
    assert_eq!(new, 20);
}

pub(in crate::store) async fn many_of_the_same_keys_are_stored_once_each(stage: Stage) {
    let program = |key: usize| {
        let options = Options {
            unique_key: Some(format!("k{key}").into()),
            ..Options::default()
        };
        new_program(&["a"], options)
    };
    let first = stage.created(program(0)).await;
    let creations = (0..8).map(|turn| {
        let store = Arc::clone(&stage.store);
        // The last key comes twice.
        let mut keys: Vec<usize> = (0..=50).map(|key| key.min(49)).collect();
        if turn % 2 == 1 {
            keys.reverse();
        }
        let programs = keys.iter().map(|key| program(*key)).collect();
        tokio::spawn(async move { (keys, store.create(programs).await) })
    });
    let mut new = 0;
    let mut holders = std::collections::HashMap::from([(0, first.run_id)]);
    for creation in creations.collect::<Vec<_>>() {
        let (keys, created) = creation.await.expect("no panic");
        for (key, one) in keys.into_iter().zip(created.expect("reached")) {
            let one = one.expect("stored");
            new += usize::from(!one.existed);
            let holder = holders.entry(key).or_insert_with(|| one.run_id.clone());
            assert_eq!(*holder, one.run_id, "k{key}");
        }
    }
    assert_eq!(new, 49, "all keys but the one that was taken");
    assert_eq!(
        stage
            .store
            .list(Default::default())
            .await
            .expect("read")
            .len(),
        50
    );
}

pub(in crate::store) async fn one_that_waits_takes_the_new_data(stage: Stage) {
    let later = Options {
        start: Start::After(HOUR),
        ..replacing("draft")
    };
    let first = stage.created(new_program(&["a"], later)).await;
    assert!(!first.existed && !first.replaced);
    let mut second = new_program(&["b", "c"], replacing("draft"));
    second.program.program_data = "{\"revision\": 2}".to_owned();
    second.program.job_data = "{\"b\": {\"x\": null}}".to_owned();
    second.program.attributes = "{\"by\": \"Ada\"}".to_owned();
    second.program.options.priority = 3;
    let created = stage.created(second).await;
    assert!(created.existed && created.replaced, "{created:?}");
    assert_eq!(created.run_id, first.run_id);
    let program = stage.get(&first.run_id).await;
    assert_eq!(program.jobs, ["b", "c"]);
    assert_eq!(program.program_data, json!({"revision": 2}));
    assert_eq!(program.job_data, json!({"b": {"x": null}}));
    assert_eq!(program.attributes, json!({"by": "Ada"}));
    assert_eq!(program.priority, 3);
    // It is due now, and is what is claimed.
    let claimed = stage.claim_one().await;
    assert_eq!((claimed.run_id, &*claimed.job), (first.run_id, "b"));
}

/// Its lease has run out, and nobody has told the worker yet.
pub(in crate::store) async fn a_late_worker_does_nothing_to_new_data(stage: Stage) {
    let first = stage
        .created(new_program(&["a", "b"], replacing("draft")))
        .await;
    let late = stage.claim_briefly().await.fence;
    stage.promote_only().await;
    let created = stage.created(new_program(&["c"], replacing("draft"))).await;
    assert!(created.replaced);
    let written = stage.write(late, advance("b", None)).await;
    assert_eq!(written, Written::LeaseLost);
    let written = stage.write(after(late), advance("b", None)).await;
    assert_eq!(written, Written::LeaseLost);
    let claimed = stage.claim_one().await;
    assert_eq!((claimed.run_id, claimed.step), (first.run_id, 0));
    assert_eq!(&*claimed.job, "c");
}

pub(in crate::store) async fn one_that_has_begun_keeps_its_data(stage: Stage) {
    let first = stage
        .created(new_program(&["a", "b"], replacing("draft")))
        .await;
    let stays = async |why: &str| {
        let mut other = new_program(&["c"], replacing("draft"));
        other.program.program_data = "7".to_owned();
        let created = stage.created(other).await;
        assert!(created.existed && !created.replaced, "{why}: {created:?}");
        assert_eq!(created.run_id, first.run_id, "{why}");
        assert_eq!(
            stage.get(&first.run_id).await.program_data,
            json!({}),
            "{why}"
        );
    };
    let claimed = stage.claim_one().await;
    stays("it runs").await;
    let next = Change::AdvanceAndRelease {
        next: "b".to_owned(),
        outputs: None,
    };
    assert_eq!(stage.write(claimed.fence, next).await, Written::Committed);
    stays("a step is done").await;
    stage
        .store
        .hand_off(first.run_id.clone())
        .await
        .expect("unfinished");
    stays("it is handed off").await;
    stage
        .store
        .cancel(first.run_id.clone(), "x".to_owned())
        .await
        .expect("unfinished");
    let created = stage.created(new_program(&["c"], replacing("draft"))).await;
    assert!(!created.existed, "it has ended");
}

pub(in crate::store) async fn one_of_many_that_replace_is_left(stage: Stage) {
    let created = stage.created_at_once(|| replacing("k")).await;
    assert_eq!(created.iter().filter(|one| !one.existed).count(), 1);
    assert!(
        created.iter().all(|one| one.existed == one.replaced),
        "{created:?}"
    );
    assert!(created.iter().all(|one| one.run_id == created[0].run_id));
    stage.claim_one().await;
}

pub(in crate::store) async fn children_keep_to_their_keys(stage: Stage) {
    let taken = stage
        .created(new_program(&["limited"], for_a_time("taken", HOUR)))
        .await;
    let waits = stage
        .created(new_program(&["limited"], replacing("draft")))
        .await;
    let parent = stage.create(&["a", "b"]).await;
    let claimed = stage.claim_with(super::ClaimRequest {
        room: vec![("limited", 0)],
        ..stage.request()
    });
    let fence = claimed.await.remove(0).fence;
    let child = |ordinal, options| NewProgram {
        run_id: parent.child(0, ordinal),
        parent: Some(parent.clone()),
        ..new_program(&["c"], options)
    };
    let write = || StepWrite {
        fence,
        change: advance("b", None),
        children: vec![
            child(0, for_a_time("taken", HOUR)),
            child(1, for_a_time("free", HOUR)),
            child(2, replacing("draft")),
        ],
        ordinal: 3,
        lease: LEASE,
    };
    assert_eq!(stage.write_all(write()).await, Written::Committed);
    // The answer was lost: it is sent again.
    assert_eq!(stage.write_all(write()).await, Written::Committed);
    let children = stage.store.children(parent.clone()).await.expect("read");
    assert_eq!(children, [parent.child(0, 1)]);
    assert_eq!(
        stage.get(&waits.run_id).await.jobs,
        ["c"],
        "it was replaced"
    );
    let free = stage
        .created(new_program(&["a"], for_a_time("free", HOUR)))
        .await;
    assert_eq!(free.run_id, parent.child(0, 1));
    let again = stage
        .created(new_program(&["a"], for_a_time("taken", HOUR)))
        .await;
    assert_eq!(again.run_id, taken.run_id);
    // Of an attempt that failed nothing stays, its keys included.
    let fence = after(fence);
    let failed = StepWrite {
        fence,
        change: super::retry(HOUR),
        children: vec![NewProgram {
            run_id: parent.child(1, 0),
            ..new_program(&["c"], for_a_time("lost", HOUR))
        }],
        ordinal: 1,
        lease: LEASE,
    };
    assert_eq!(stage.write_all(failed).await, Written::Committed);
    let lost = stage
        .created(new_program(&["a"], for_a_time("lost", HOUR)))
        .await;
    assert!(!lost.existed);
    let target = Target::RunId(RunId::from("nobody"));
    let done = stage.store.complete(target, None, Afterwards::Delete).await;
    assert!(!done.expect("reached"));
}
