//! dbos: a workflow of one step, and one of two.

use std::time::Duration;

use contest::{Contestant, Database, Options, Part, Result, Steps, body};
use dbos::{Config, DBOS, Enqueue, QueueConflict, QueueOptions, StartOptions, WorkflowRef, step};
use serde_json::Value;

/// Connections of the pool: one for each of the fifty creators.
const CONNECTIONS: u32 = 50;
/// How often the worker looks into its queue at the most; it begins with once a second, and so it is
/// fastest without a limit of workflows at once: then it takes all at the first look.
const POLL: Duration = Duration::from_millis(20);
const QUEUE: &str = "contest";

struct Dbos {
    creator: Instance,
    database: Database,
    options: Options,
}

/// A launched process, as it were.
struct Instance {
    dbos: DBOS,
    one: Workflow,
    two: Workflow,
}

type Workflow = WorkflowRef<Value, (), dbos::EngineOnly>;

async fn one(_: Value) -> dbos::Result<()> {
    step("first", || async {
        body(1);
        Ok(())
    })
    .await
}

async fn two(_: Value) -> dbos::Result<()> {
    step("first", || async {
        body(1);
        dbos::Result::Ok(())
    })
    .await?;
    step("second", || async {
        body(2);
        Ok(())
    })
    .await
}

impl Instance {
    /// `queues`: those that it works; all, unless given.
    async fn launch(options: &Options, name: &str, queues: Option<Vec<String>>) -> Result<Self> {
        let dbos = DBOS::new(Config {
            max_connections: CONNECTIONS,
            app_version: Some("1".to_owned()),
            executor_id: Some(name.to_owned()),
            listen_queues: queues,
            ..Config::new("contest", &options.database_url)
        });
        let one = dbos.register_workflow("one", one)?;
        let two = dbos.register_workflow("two", two)?;
        dbos.launch().await?;
        Ok(Self { dbos, one, two })
    }
}

impl Contestant for Dbos {
    const UNFINISHED: &'static str = "SELECT EXISTS (SELECT FROM dbos.workflow_status \
         WHERE status IN ('ENQUEUED', 'PENDING'))";

    async fn connect(options: &Options) -> Result<Self> {
        let creator = Instance::launch(options, "creator", Some(Vec::new())).await?;
        let queue = QueueOptions {
            worker_concurrency: options.slots.map(i32::try_from).transpose()?,
            polling_interval: POLL,
            ..QueueOptions::default()
        };
        creator
            .dbos
            .register_queue(QUEUE, queue, QueueConflict::AlwaysUpdate)
            .await?;
        Ok(Self {
            creator,
            database: Database::connect(&options.database_url).await?,
            options: options.clone(),
        })
    }

    async fn create(&self, steps: Steps) -> Result<()> {
        let workflow = match steps {
            Steps::One => &self.creator.one,
            Steps::Two => &self.creator.two,
        };
        // For the latency it runs where it is created: in the queue it would wait for the next look.
        let queue = (self.options.part != Part::Latency).then(|| Enqueue::new(QUEUE));
        let options = StartOptions {
            queue,
            ..StartOptions::default()
        };
        workflow.start_with(Value::Null, options).await?;
        Ok(())
    }

    async fn create_many(&self, count: usize, steps: Steps) -> Result<()> {
        let name = match steps {
            Steps::One => "one",
            Steps::Two => "two",
        };
        // Its function for clients of any language; the crate itself enqueues one at a time.
        self.database
            .execute(&format!(
                "SELECT dbos.enqueue_workflow('{name}', '{QUEUE}') FROM generate_series(1, {count})"
            ))
            .await
    }

    async fn work(
        &self,
        _steps: Steps,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let worker = Instance::launch(&self.options, "worker", None).await?;
        end.await;
        worker.dbos.shutdown().await;
        Ok(())
    }
}

fn main() -> Result<()> {
    contest::run::<Dbos>()
}
