//! underway: a job of one step, and one of two.

use contest::{Contestant, Options, Part, Result, Steps, body};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::task::JoinSet;
use underway::{Job, To};

/// Connections of the pool: one for each of the fifty creators.
const CONNECTIONS: u32 = 50;
/// Workers in this process. A worker that finds a backlog works through it one job after the other,
/// whatever its limit of concurrency; only notifications start more.
const WORKERS: usize = 8;
/// Programs created in one transaction.
const BATCH: usize = 1000;

struct Underway {
    pool: PgPool,
    one: Job<(), ()>,
    two: Job<(), ()>,
    workers: usize,
}

impl Underway {
    fn job(&self, steps: Steps) -> &Job<(), ()> {
        match steps {
            Steps::One => &self.one,
            Steps::Two => &self.two,
        }
    }
}

impl Contestant for Underway {
    const UNFINISHED: &'static str = "SELECT EXISTS (SELECT FROM underway.task \
         WHERE state IN ('pending', 'in_progress'))";

    async fn connect(options: &Options) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect(&options.database_url)
            .await?;
        underway::run_migrations(&pool).await?;
        let one = Job::builder()
            .step(|_, ()| async {
                body(1);
                To::done()
            })
            .name("one")
            .pool(pool.clone())
            .build()
            .await?;
        let two = Job::builder()
            .step(|_, ()| async {
                body(1);
                To::next(())
            })
            .step(|_, ()| async {
                body(2);
                To::done()
            })
            .name("two")
            .pool(pool.clone())
            .build()
            .await?;
        let workers = match options.part {
            // One is what its documentation starts; more would compete for the same notification.
            Part::Latency => 1,
            _ => WORKERS,
        };
        Ok(Self {
            pool,
            one,
            two,
            workers: options.slots.unwrap_or(workers),
        })
    }

    async fn create(&self, steps: Steps) -> Result<()> {
        self.job(steps).enqueue(&()).await?;
        Ok(())
    }

    async fn create_many(&self, count: usize, steps: Steps) -> Result<()> {
        // It can insert many raw tasks at once, but jobs, which are tasks with its own private
        // input, only one by one.
        let job = self.job(steps);
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            let mut transaction = self.pool.begin().await?;
            for _ in 0..batch {
                job.enqueue_using(&mut *transaction, &()).await?;
            }
            transaction.commit().await?;
            left -= batch;
        }
        Ok(())
    }

    async fn work(
        &self,
        steps: Steps,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let mut working = JoinSet::new();
        let mut workers = Vec::new();
        for _ in 0..self.workers {
            let worker = self.job(steps).worker();
            workers.push(worker.clone());
            working.spawn(async move { worker.run().await });
        }
        tokio::select! {
            Some(ended) = working.join_next() => return Ok(ended??),
            () = end => {}
        }
        for worker in workers {
            worker.shutdown();
        }
        while let Some(ended) = working.join_next().await {
            ended??;
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    contest::run::<Underway>()
}
