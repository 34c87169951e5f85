//! apalis-postgres for jobs of one step, apalis-workflow on top of it for programs of two.

use std::time::Duration;

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use apalis_workflow::SteppedFlow;
use contest::{Contestant, Options, Result, Steps, body};
use sqlx::postgres::PgPoolOptions;

/// Connections of the pool: one for each of the fifty creators.
const CONNECTIONS: u32 = 50;
/// Jobs that one claim takes along; the best of 100, 1000 and 5000.
const CLAIM: usize = 5000;
/// Jobs at once: more help only where a step writes the next one into the database itself.
const SLOTS_ONE: usize = 50;
const SLOTS_TWO: usize = 1000;
/// Jobs added in one statement.
const BATCH: usize = 5000;
/// How often an idle worker looks, beside the notifications.
const POLL: Duration = Duration::from_millis(10);

struct Apalis {
    storage: PostgresStorage<()>,
    slots: Option<usize>,
}

async fn first(_: ()) -> std::result::Result<(), BoxDynError> {
    body(1);
    Ok(())
}

async fn second(_: ()) -> std::result::Result<(), BoxDynError> {
    body(2);
    Ok(())
}

impl Contestant for Apalis {
    const UNFINISHED: &'static str =
        "SELECT EXISTS (SELECT FROM apalis.jobs WHERE status <> 'Done')";

    async fn connect(options: &Options) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect(&options.database_url)
            .await?;
        PostgresStorage::setup(&pool).await?;
        let config = Config::default()
            .queue("contest")
            .batch_size(CLAIM)
            // A job that is claimed is `Queued` under its worker's name already.
            .lock_tasks(false);
        let storage = PostgresStorage::new(&pool).with_config(config);
        Ok(Self {
            storage,
            slots: options.slots,
        })
    }

    async fn create(&self, _steps: Steps) -> Result<()> {
        self.storage.clone().push(()).await?;
        Ok(())
    }

    async fn create_many(&self, count: usize, _steps: Steps) -> Result<()> {
        let mut storage = self.storage.clone();
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            storage.push_bulk(vec![(); batch]).await?;
            left -= batch;
        }
        Ok(())
    }

    async fn work(
        &self,
        steps: Steps,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let end = async move {
            end.await;
            std::io::Result::Ok(())
        };
        let backend = self.storage.clone().with_pubsub().poll_with_interval(POLL);
        let worker = WorkerBuilder::new("worker").backend(backend);
        match steps {
            Steps::One => {
                worker
                    .concurrency(self.slots.unwrap_or(SLOTS_ONE))
                    .build(first)
                    .run_until(end)
                    .await?;
            }
            Steps::Two => {
                worker
                    .concurrency(self.slots.unwrap_or(SLOTS_TWO))
                    .build(SteppedFlow::new("program").and_then(first).and_then(second))
                    .run_until(end)
                    .await?;
            }
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    contest::run::<Apalis>()
}
