//! graphile_worker: jobs of one step. It has no programs of several.

use std::{sync::Arc, time::Duration};

use contest::{Contestant, Options, Part, Result, Steps, body};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, Worker, WorkerContext,
    WorkerOptions, WorkerUtils,
};
use serde::{Deserialize, Serialize};

/// Connections of the pool: one for each of the fifty creators.
const CONNECTIONS: u32 = 50;
/// Jobs that one claim takes along; the best of 500 to 10,000.
const LOCAL_QUEUE: usize = 5000;
/// How long finished jobs wait for others to share a commit with; what its documentation advises.
const COMPLETION_DELAY: Duration = Duration::from_millis(5);
/// Jobs at once, with the local queue; bodies that do nothing leave their slots at once.
const SLOTS: usize = 10;
/// Jobs added in one call.
const BATCH: usize = 5000;

struct Graphile {
    worker: Arc<Worker>,
    utils: WorkerUtils,
}

#[derive(Clone, Serialize, Deserialize)]
struct Job {}

impl TaskHandler for Job {
    const IDENTIFIER: &'static str = "job";

    async fn run(self, _context: WorkerContext) -> impl IntoTaskHandlerResult {
        body(1);
    }
}

impl Contestant for Graphile {
    const UNFINISHED: &'static str = "SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)";

    fn leaves_out(part: Part) -> Option<&'static str> {
        (part == Part::Drain2).then_some("it has no programs of several steps")
    }

    async fn connect(options: &Options) -> Result<Self> {
        let mut worker = WorkerOptions::default()
            .database_url(&options.database_url)
            .max_pg_conn(CONNECTIONS)
            .define_job::<Job>();
        // A single job gains nothing from the local queue; and many slots, each of which looks for
        // it, only delay it. So it gets the default, a slot for each core.
        if options.part != Part::Latency {
            worker = worker
                .concurrency(options.slots.unwrap_or(SLOTS))
                .local_queue(LocalQueueConfig::default().with_size(LOCAL_QUEUE))
                .complete_job_batch_delay(COMPLETION_DELAY);
        }
        let worker = worker.init().await?;
        Ok(Self {
            utils: worker.create_utils(),
            worker: Arc::new(worker),
        })
    }

    async fn create(&self, _steps: Steps) -> Result<()> {
        self.utils.add_job(Job {}, JobSpec::default()).await?;
        Ok(())
    }

    async fn create_many(&self, count: usize, _steps: Steps) -> Result<()> {
        let spec = JobSpec::default();
        let jobs = vec![(Job {}, &spec); count];
        for batch in jobs.chunks(BATCH) {
            self.utils.add_jobs(batch).await?;
        }
        Ok(())
    }

    async fn work(
        &self,
        _steps: Steps,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let worker = Arc::clone(&self.worker);
        let mut working = tokio::spawn(async move { worker.run().await });
        tokio::select! {
            ended = &mut working => ended??,
            () = end => {
                self.worker.request_shutdown();
                working.await??;
            }
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    contest::run::<Graphile>()
}
