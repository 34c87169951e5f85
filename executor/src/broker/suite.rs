//! What both brokers must do, over the embedded store.

use std::{sync::Arc, time::Duration};

use super::{Broker, Ear};
use crate::{
    config::{Config, Share},
    program::Options,
    store::{
        self, ClaimRequest, ClaimedProgram, KnownJobs, Store, WorkerId, WorkerRecord,
        suite::new_program,
    },
};

/// A store, and a broker for it.
struct Stage {
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    worker: WorkerRecord,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn new(amqp: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let config = Config {
            database_url: url.parse().expect("a URL"),
            amqp_url: amqp.map(|url| url.parse().expect("a URL")),
            amqp_prefix: Some(format!("suite-{}.", uuid::Uuid::new_v4().simple())),
            ..Config::default()
        };
        let store = store::connect(&config).await.expect("a store");
        store.migrate().await.expect("tables");
        let worker = WorkerRecord {
            id: WorkerId::new(),
            host: "test".to_owned(),
            pid: 1,
            shares: vec![Share::new(["default"], 10)],
            lease: Duration::from_secs(60),
        };
        Self {
            broker: super::connect(&config, &store).expect("a broker"),
            store,
            worker,
            _folder: folder,
        }
    }

    async fn create(&self, number: usize) {
        self.create_in("default", number).await;
    }

    async fn create_in(&self, queue: &str, number: usize) {
        let options = || Options {
            queue: Some(queue.into()),
            ..Options::default()
        };
        let programs = (0..number).map(|_| new_program(&["a"], options()));
        let created = super::create(&*self.store, &*self.broker, programs.collect()).await;
        assert_eq!(created.expect("reached").len(), number);
        self.broker.flush().await;
    }

    /// Claims what the ear asks for, of so many free slots; how many were taken.
    async fn claim(
        &self,
        ear: &mut (dyn Ear + '_),
        free: impl Into<Vec<usize>>,
        due: bool,
    ) -> Option<usize> {
        let free = free.into();
        let ask = ear.ask(&free, due)?;
        for (share, free) in self.worker.shares.iter().zip(&free) {
            let asked = ask
                .shares
                .iter()
                .filter(|it| share.queues.contains(&it.queues[0]));
            let asked: usize = asked.map(|it| it.slots).sum();
            assert!(asked <= *free, "no more than is free: {ask:?}");
        }
        let request = ClaimRequest {
            worker: self.worker.id,
            shares: ask.shares.clone(),
            slots: ask.slots(),
            bytes: 1 << 20,
            lease: self.worker.lease,
            max_crashes: 3,
            jobs: Arc::new(KnownJobs {
                names: ["a"].into_iter().collect(),
                others: false,
            }),
            room: Vec::new(),
            running: Vec::new(),
            suspects: 1,
            floors: Vec::new(),
        };
        let claimed = self.store.claim(request).await.expect("claimed");
        let taken = ask.shares.iter().map(|share| {
            let its = |program: &&ClaimedProgram| share.queues.contains(&program.queue);
            claimed.programs.iter().filter(its).count()
        });
        ear.answered(&ask, &taken.collect::<Vec<_>>(), claimed.more);
        Some(claimed.programs.len())
    }

    /// Claims as it hears, until so many are taken.
    async fn hear(&self, ear: &mut (dyn Ear + '_), number: usize) {
        self.hear_with(ear, &[10], number).await;
    }

    /// The same, with so many free slots of each share.
    async fn hear_with(&self, ear: &mut (dyn Ear + '_), free: &[usize], number: usize) {
        let mut taken = 0;
        let hearing = async {
            while taken < number {
                let slow_poll = ear.slow_poll();
                ear.heard(slow_poll).await;
                taken += self.claim(ear, free, false).await.unwrap_or(0);
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(30), hearing).await;
        assert!(heard.is_ok(), "{taken} of {number} were taken");
        assert_eq!(taken, number);
    }
}

async fn what_is_created_is_heard(stage: Stage) {
    let mut ear = stage.broker.ear(&*stage.store, &stage.worker);
    assert_eq!(stage.claim(&mut *ear, [10], true).await, Some(0));
    stage.create(5).await;
    stage.hear(&mut *ear, 5).await;
    stage.create(35).await;
    stage.hear(&mut *ear, 35).await;
}

async fn what_was_created_before_is_found(stage: Stage) {
    stage.create(5).await;
    let mut ear = stage.broker.ear(&*stage.store, &stage.worker);
    assert_eq!(stage.claim(&mut *ear, [10], true).await, Some(5));
}

async fn what_nobody_announces_is_found(stage: Stage) {
    let mut ear = stage.broker.ear(&*stage.store, &stage.worker);
    assert_eq!(stage.claim(&mut *ear, [10], true).await, Some(0));
    let quiet = stage
        .store
        .create_quietly(vec![new_program(&["a"], Options::default())]);
    quiet.await.expect("stored");
    stage.hear(&mut *ear, 1).await;
}

async fn what_the_store_rings_for_is_heard(stage: Stage) {
    let mut ear = stage.broker.ear(&*stage.store, &stage.worker);
    assert_eq!(stage.claim(&mut *ear, [10], true).await, Some(0));
    let paused = stage.store.set_paused("default".to_owned(), true);
    paused.await.expect("paused");
    stage.create(20).await;
    while stage.claim(&mut *ear, [10], true).await != Some(0) {}
    let resumed = stage.store.set_paused("default".to_owned(), false);
    resumed.await.expect("resumed");
    stage.hear(&mut *ear, 20).await;
}

async fn a_failed_claim_is_made_again(stage: Stage) {
    let mut ear = stage.broker.ear(&*stage.store, &stage.worker);
    assert_eq!(stage.claim(&mut *ear, [10], true).await, Some(0));
    stage.create(3).await;
    // Whatever it asks for, the claims fail: nothing is told of them.
    for _ in 0..5 {
        let _ = ear.ask(&[10], false);
    }
    stage.hear(&mut *ear, 3).await;
}

async fn a_worker_that_was_full_goes_on(stage: Stage) {
    let mut ear = stage.broker.ear(&*stage.store, &stage.worker);
    assert_eq!(stage.claim(&mut *ear, [10], true).await, Some(0));
    stage.create(25).await;
    let full = tokio::time::timeout(Duration::from_millis(300), ear.full()).await;
    assert!(full.is_err(), "it never ends by itself");
    stage.hear(&mut *ear, 25).await;
    stage.create(5).await;
    stage.hear(&mut *ear, 5).await;
}

async fn a_full_queue_keeps_no_other_waiting(mut stage: Stage) {
    stage.worker.shares = vec![Share::new(["default"], 2), Share::new(["other"], 10)];
    let mut ear = stage.broker.ear(&*stage.store, &stage.worker);
    assert_eq!(stage.claim(&mut *ear, [2, 10], true).await, Some(0));
    stage.create(6).await;
    stage.hear_with(&mut *ear, &[1, 10], 2).await;
    stage.create_in("other", 25).await;
    stage.hear_with(&mut *ear, &[0, 10], 25).await;
    // What waits for the full one wakes nobody over and over.
    let end = tokio::time::Instant::now() + Duration::from_millis(300);
    let mut woken = 0;
    while tokio::time::timeout_at(end, ear.heard(Duration::from_secs(1)))
        .await
        .is_ok()
    {
        woken += 1;
        stage.claim(&mut *ear, [0, 10], false).await;
    }
    assert!(woken < 50, "{woken} times");
    stage.hear_with(&mut *ear, &[2, 10], 4).await;
    stage.create(3).await;
    stage.create_in("other", 3).await;
    stage.hear_with(&mut *ear, &[2, 10], 6).await;
}

macro_rules! exercise {
    ($($test:ident),* $(,)?) => {
        mod over_the_store {
            use super::Stage;
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(Stage::new(None).await).await;
                }
            )*
        }

        #[cfg(feature = "rabbitmq")]
        mod over_rabbitmq {
            use super::Stage;
            $(
                #[tokio::test]
                async fn $test() {
                    let url = crate::store::suite::server("EXECUTOR_TEST_RABBITMQ");
                    if url.is_some() {
                        super::$test(Stage::new(url).await).await;
                    }
                }
            )*
        }
    };
}

exercise!(
    what_is_created_is_heard,
    what_was_created_before_is_found,
    what_nobody_announces_is_found,
    what_the_store_rings_for_is_heard,
    a_failed_claim_is_made_again,
    a_worker_that_was_full_goes_on,
    a_full_queue_keeps_no_other_waiting,
);
