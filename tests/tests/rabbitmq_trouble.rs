//! Whatever becomes of RabbitMQ, programs go on straight from the store; it is told once, and once when
//! all is well again. The nodes here are the tests' own.

#[allow(dead_code, reason = "not every test uses all of the jobs")]
#[path = "../jobs.rs"]
mod jobs;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use executor::{Executor, ProgramState, RunId, prelude::*};
use executor_tests::{Fresh, OwnRabbitMq, Process, Proxy, Rabbit, Settings, ended, until};
use jobs::Once;
use lapin::{options::QueueDeclareOptions, types::FieldTable};

const WORKER: &str = env!("CARGO_BIN_EXE_test-worker");
const PREFIX: &str = "trouble.";

/// A store, where RabbitMQ is, and what a worker process says.
struct Stage {
    fresh: Fresh,
    url: String,
    executor: Executor,
    log: PathBuf,
}

impl Stage {
    async fn at(url: String) -> Self {
        let fresh = Fresh::new();
        let builder = fresh.builder().amqp_url(url.clone()).amqp_prefix(PREFIX);
        Self {
            executor: builder.connect().await.expect("an executor"),
            log: fresh.folder().join("log"),
            fresh,
            url,
        }
    }

    /// A worker process of this queue.
    fn worker(&self, queue: &str) -> Process {
        self.fresh
            .worker(WORKER)
            .set("AMQP_URL", &self.url)
            .set("EXECUTOR_AMQP_PREFIX", PREFIX)
            .set("EXECUTOR_QUEUE", queue)
            .log(&self.log)
            .start()
    }

    /// How many lines of the worker's log have this in them.
    fn said(&self, what: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.contains(what)).count()
    }

    async fn says(&self, what: &str, times: usize) {
        until(&format!("it says {what:?}"), async || {
            self.said(what) >= times
        })
        .await;
        assert_eq!(self.said(what), times, "{what}");
    }

    /// Programs that are created now all run, whatever RabbitMQ does.
    async fn programs_run(&self, queue: &str) {
        let mut run_ids: Vec<RunId> = Vec::new();
        for _ in 0..10 {
            let created = Once.queue(queue).create(&self.executor).await;
            run_ids.push(created.expect("created"));
        }
        let many = (0..20).map(|_| Once.into_program().queue(queue));
        for created in self.executor.create_many(many).await.expect("created") {
            run_ids.push(created.expect("created").run_id);
        }
        for run_id in &run_ids {
            let program = ended(&self.executor, run_id).await;
            assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        }
    }

    /// RabbitMQ is used: what is created is announced.
    async fn is_announced(&self, rabbit: &Rabbit) {
        // Another queue each time: a server that is killed may have forgotten that one was deleted, and
        // then has it without its messages' place.
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let queue = format!("nobodys_{}", ASKED.fetch_add(1, Ordering::Relaxed));
        until("programs are announced", async || {
            let created = Once.queue(queue.as_str()).create(&self.executor).await;
            created.expect("created");
            matches!(rabbit.queue(&queue).await, Some((1.., _)))
        })
        .await;
        rabbit.delete(&queue).await;
    }
}

async fn is_consumed(rabbit: &Rabbit, queue: &str) {
    until("it is consumed", async || {
        matches!(rabbit.queue(queue).await, Some((_, 1..)))
    })
    .await;
}

const BEGINS: &str = "RabbitMQ can't be used now; programs go on straight from the store";
const IS_OVER: &str = "RabbitMQ can be used again";

#[tokio::test]
async fn a_broker_that_comes_and_goes() {
    let Some(mut server) = OwnRabbitMq::start(Settings::default()).await else {
        return;
    };
    server.shut_down().await;
    let stage = Stage::at(server.url()).await;
    // It is refused at the start.
    let worker = stage.worker("default");
    stage.programs_run("default").await;
    stage.says(BEGINS, 1).await;
    server.start_again().await;
    stage.says(IS_OVER, 1).await;
    let rabbit = Rabbit::on(&server.url(), PREFIX).await;
    is_consumed(&rabbit, "default").await;
    stage.is_announced(&rabbit).await;
    stage.programs_run("default").await;
    drop(rabbit);
    // It crashes.
    server.stop();
    stage.programs_run("default").await;
    stage.says(BEGINS, 2).await;
    server.start_again().await;
    stage.says(IS_OVER, 2).await;
    let rabbit = Rabbit::on(&server.url(), PREFIX).await;
    is_consumed(&rabbit, "default").await;
    stage.is_announced(&rabbit).await;
    stage.programs_run("default").await;
    worker.stop().await;
}

#[tokio::test]
async fn an_administrator_at_work() {
    let Some(server) = OwnRabbitMq::start(Settings::default()).await else {
        return;
    };
    let stage = Stage::at(server.url()).await;
    let rabbit = Rabbit::on(&server.url(), PREFIX).await;
    let worker = stage.worker("default");
    stage.programs_run("default").await;
    is_consumed(&rabbit, "default").await;

    // All connections are closed: RabbitMQ knows them by their names.
    let listed = server.ctl(&["list_connections", "client_properties"]).await;
    assert!(listed.contains("executor worker"), "{listed}");
    assert!(listed.contains(&format!("({})", worker.pid())), "{listed}");
    let closed = server.close_connections("executor ").await;
    assert_eq!(closed, 2, "one announces, and one hears");
    stage.programs_run("default").await;
    stage.says(BEGINS, 1).await;
    stage.says(IS_OVER, 1).await;
    is_consumed(&rabbit, "default").await;
    stage.is_announced(&rabbit).await;

    // A queue is deleted under the worker.
    rabbit.delete("default").await;
    stage
        .says("its programs go on straight from the store", 1)
        .await;
    stage.programs_run("default").await;
    is_consumed(&rabbit, "default").await;
    stage.says("the queue can be used again", 1).await;

    // It is short of memory, and takes no messages.
    server.ctl(&["set_vm_memory_high_watermark", "0"]).await;
    stage.programs_run("default").await;
    stage.programs_run("default").await;
    server.ctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    stage.is_announced(&rabbit).await;
    stage.programs_run("default").await;
    worker.stop().await;
    assert_eq!(stage.said("guest:guest"), 0, "no password is logged");
}

#[tokio::test]
async fn a_queue_of_another_kind() {
    let Some(server) = OwnRabbitMq::start(Settings::default()).await else {
        return;
    };
    let stage = Stage::at(server.url()).await;
    let rabbit = Rabbit::on(&server.url(), PREFIX).await;
    let name = rabbit.name("odd");
    let channel = rabbit.channel().await;
    let classic = QueueDeclareOptions::default();
    let declared = channel.queue_declare(name.as_str().into(), classic, FieldTable::default());
    declared.await.expect("declared");
    let worker = stage.worker("odd");
    stage.programs_run("odd").await;
    stage
        .says("there is a queue \"trouble.odd\" of another kind", 1)
        .await;
    stage
        .says(
            "durable, x-queue-type=quorum, x-delivery-limit=100; delete that one",
            1,
        )
        .await;
    assert_eq!(rabbit.queue("odd").await, Some((0, 0)), "it is left alone");
    rabbit.delete("odd").await;
    is_consumed(&rabbit, "odd").await;
    stage.programs_run("odd").await;
    worker.stop().await;
    // Who creates, and was refused as well, finds the new one.
    until("programs are announced there", async || {
        let created = Once.queue("odd").create(&stage.executor).await;
        created.expect("created");
        matches!(rabbit.queue("odd").await, Some((1.., _)))
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_dies_without_a_word() {
    let Some(rabbit) = Rabbit::shared().await else {
        return;
    };
    let proxy = Proxy::to_url(rabbit.url()).await;
    let fresh = Fresh::new();
    let builder = fresh
        .builder()
        .amqp_url(format!("{}?heartbeat=1", proxy.url()))
        .amqp_prefix(rabbit.prefix());
    let stage = Stage {
        executor: builder.connect().await.expect("an executor"),
        log: fresh.folder().join("log"),
        url: proxy.url().to_owned(),
        fresh,
    };
    let worker = stage
        .fresh
        .worker(WORKER)
        .set("AMQP_URL", format!("{}?heartbeat=1", proxy.url()))
        .set("EXECUTOR_AMQP_PREFIX", rabbit.prefix())
        .log(&stage.log)
        .start();
    stage.programs_run("default").await;
    is_consumed(&rabbit, "default").await;
    proxy.silence();
    stage.programs_run("default").await;
    stage.says(BEGINS, 1).await;
    stage.says(IS_OVER, 1).await;
    is_consumed(&rabbit, "default").await;
    stage.is_announced(&rabbit).await;
    stage.programs_run("default").await;
    worker.stop().await;
    rabbit.delete("default").await;
}

#[tokio::test]
async fn tls_with_the_certificate_and_the_name_checked() {
    let Some(server) = OwnRabbitMq::start(Settings::tls()).await else {
        return;
    };
    let url = |host: &str| format!("amqps://guest:guest@{host}:{}/%2f", server.addr().port());
    let authority = format!("cacertfile={}", server.ca_file().display());
    let stage = Stage::at(format!("{}?{authority}", url("localhost"))).await;
    let worker = stage.worker("default");
    stage.programs_run("default").await;
    until("it is heard", async || {
        let queues = server.ctl(&["list_queues", "name", "consumers"]).await;
        queues.contains("trouble.default\t1")
    })
    .await;
    worker.stop().await;
    assert_eq!(stage.said(BEGINS), 0);

    // The system's authorities do not vouch for it.
    let unknown = Stage::at(url("localhost")).await;
    let worker = unknown.worker("default");
    unknown
        .says("invalid peer certificate: UnknownIssuer", 1)
        .await;
    unknown.programs_run("default").await;
    worker.stop().await;

    // It is somebody else's certificate.
    drop(server);
    let Some(server) = OwnRabbitMq::start(Settings::tls_of("elsewhere")).await else {
        return;
    };
    let authority = format!("cacertfile={}", server.ca_file().display());
    let url = format!("amqps://guest:guest@localhost:{}/%2f", server.addr().port());
    let other = Stage::at(format!("{url}?{authority}")).await;
    let worker = other.worker("default");
    other
        .says(
            "invalid peer certificate: certificate not valid for name",
            1,
        )
        .await;
    other.programs_run("default").await;
    worker.stop().await;
    for stage in [stage, unknown, other] {
        assert_eq!(stage.said("guest:guest"), 0, "no password is logged");
    }
}

/// Brokers that come and go, connections that are closed, workers that are killed, and programs all the
/// while: none is lost, and each step is recorded once. `EXECUTOR_TEST_CHAOS=20000` makes it a long one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos() {
    let Some(mut server) = OwnRabbitMq::start(Settings::default()).await else {
        return;
    };
    let number = std::env::var("EXECUTOR_TEST_CHAOS").ok();
    let number: usize = number.map_or(600, |text| text.parse().expect("a number"));
    let rate = if number > 5000 { 80 } else { 60 };
    let stage = Stage::at(server.url()).await;
    let mut workers = vec![stage.worker("default"), stage.worker("default")];
    let executor = stage.executor.clone();
    let creating = tokio::spawn(async move {
        let mut run_ids = Vec::with_capacity(number);
        let mut clock = tokio::time::interval(Duration::from_secs(1) / rate);
        for _ in 0..number {
            clock.tick().await;
            let program = executor::DynProgram::new(()).then(Once).then(Once);
            run_ids.push(program.create(&executor).await.expect("created"));
        }
        run_ids
    });
    let mut kills = 0;
    for trouble in 0.. {
        match trouble % 4 {
            0 => {
                server.close_connections("executor ").await;
            }
            1 | 3 => {
                workers.remove(0).kill();
                kills += 1;
                workers.push(stage.worker("default"));
            }
            _ => {
                server.stop();
                server.start_again().await;
            }
        }
        if creating.is_finished() && trouble >= 4 {
            break;
        }
    }
    let run_ids = creating.await.expect("no panic");
    assert_eq!(run_ids.len(), number);
    for run_id in &run_ids {
        let program = ended(&stage.executor, run_id).await;
        assert_eq!(program.state, ProgramState::Finished, "{program:?}");
        assert_eq!(
            (program.step, program.step_retry_count),
            (2, 0),
            "{program:?}"
        );
    }
    let bodies = stage.fresh.ledger().count("start");
    assert!(bodies >= 2 * number);
    // Only what a killed worker had in its hands runs again.
    assert!(
        bodies <= 2 * number + kills * 50,
        "{bodies} bodies, {kills} kills"
    );
    for worker in workers {
        worker.stop().await;
    }
}

/// What a process has used at most so far, in MiB.
fn peak_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.expect("its peak").parse::<usize>().expect("a number") / 1024
}

#[tokio::test]
async fn a_hundred_thousand_messages_are_drained_with_flat_memory() {
    const MESSAGES: usize = 100_000;
    let Some(rabbit) = Rabbit::shared().await else {
        return;
    };
    let fresh = Fresh::new();
    let builder = fresh
        .builder()
        .amqp_url(rabbit.url())
        .amqp_prefix(rabbit.prefix());
    let stage = Stage {
        executor: builder.connect().await.expect("an executor"),
        log: fresh.folder().join("log"),
        url: rabbit.url().to_owned(),
        fresh,
    };
    let start = || {
        stage
            .fresh
            .worker(WORKER)
            .set("AMQP_URL", &stage.url)
            .set("EXECUTOR_AMQP_PREFIX", rabbit.prefix())
            .log(&stage.log)
            .start()
    };
    let worker = start();
    stage.programs_run("default").await;
    let idle = peak_memory(worker.pid());
    worker.stop().await;
    // Messages of programs that are done long since.
    let body: &[u8] = br#"{"v":1,"run_id":"00000000-0000-0000-0000-000000000000"}"#;
    rabbit.publish("default", &vec![body; MESSAGES]).await;
    let worker = start();
    until("the queue is drained", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        matches!(rabbit.queue("default").await, Some((0, 1..)))
    })
    .await;
    let peak = peak_memory(worker.pid());
    assert!(
        peak < idle + 16,
        "{peak} MiB, and {idle} MiB without the messages"
    );
    stage.programs_run("default").await;
    worker.stop().await;
    rabbit.delete("default").await;
}
