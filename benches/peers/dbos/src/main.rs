//! dbos: a workflow of one step, and one of two.

use std::time::Duration;

use contest::{Contestant, Database, Options, Part, Result, Steps, body};
use dbos::{
    Config, DBOS, Enqueue, QueueConflict, QueueOptions, StartOptions, WorkflowRef, step,
};
use serde_json::Value;

/// Connections of the pool: one for each of the fifty creators.
const CONNECTIONS: u32 = 50;
/// Workflows that its worker runs at once.
const SLOTS: i32 = 100;
/// How often the worker looks into its queue; a second unless said otherwise.
const POLL: Duration = Duration::from_millis(20);
const QUEUE: &str = "contest";

struct Dbos {
    dbos: DBOS,
    database: Database,
    one: WorkflowRef<Value, (), dbos::EngineOnly>,
    two: WorkflowRef<Value, (), dbos::EngineOnly>,
    slots: i32,
    part: Part,
}

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

impl Dbos {
    fn workflow(&self, steps: Steps) -> &WorkflowRef<Value, (), dbos::EngineOnly> {
        match steps {
            Steps::One => &self.one,
            Steps::Two => &self.two,
        }
    }
}

impl Contestant for Dbos {
    const UNFINISHED: &'static str = "SELECT EXISTS (SELECT FROM dbos.workflow_status \
         WHERE status IN ('ENQUEUED', 'PENDING'))";

    async fn connect(options: &Options) -> Result<Self> {
        let config = Config {
            max_connections: CONNECTIONS,
            app_version: Some("1".to_owned()),
            // Nothing is taken from the queue before there is one.
            ..Config::new("contest", &options.database_url)
        };
        let dbos = DBOS::new(config);
        let one = dbos.register_workflow("one", one)?;
        let two = dbos.register_workflow("two", two)?;
        dbos.launch().await?;
        Ok(Self {
            dbos,
            database: Database::connect(&options.database_url).await?,
            one,
            two,
            slots: options.slots.map_or(Ok(SLOTS), i32::try_from)?,
            part: options.part,
        })
    }

    async fn create(&self, steps: Steps) -> Result<()> {
        let queue = match self.part {
            // Run where it is created: through the queue it would wait for the next look.
            Part::Latency => None,
            _ => Some(Enqueue::new(QUEUE)),
        };
        let options = StartOptions {
            queue,
            ..StartOptions::default()
        };
        self.workflow(steps).start_with(Value::Null, options).await?;
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
        // Its worker takes from a queue once that is registered, and looks for new ones each second.
        self.dbos
            .register_queue(
                QUEUE,
                QueueOptions {
                    worker_concurrency: Some(self.slots),
                    polling_interval: POLL,
                    ..QueueOptions::default()
                },
                QueueConflict::AlwaysUpdate,
            )
            .await?;
        end.await;
        self.dbos.shutdown().await;
        Ok(())
    }
}

fn main() -> Result<()> {
    contest::run::<Dbos>()
}
