//! Ours: a program of one job, and one of two.

use contest::{Contestant, Options, Result, Steps, body};
use executor::{DynProgram, Executor, prelude::*};

/// Its default.
const SLOTS: usize = 50;

#[job]
async fn first() -> std::result::Result<(), JobError> {
    body(1);
    Ok(())
}

#[job]
async fn second() -> std::result::Result<(), JobError> {
    body(2);
    Ok(())
}

/// Two handles, as of two processes: a creator that shares the worker's handle could wake it without
/// the database.
struct Ours {
    creator: Executor,
    worker: Executor,
}

impl Contestant for Ours {
    // Halves, so that each has an index; and done only if all ran, since their bodies are counted.
    const UNFINISHED: &'static str = "SELECT \
         EXISTS (SELECT FROM programs \
             WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL) \
         OR EXISTS (SELECT FROM programs \
             WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL)";

    async fn connect(options: &Options) -> Result<Self> {
        let handle = || {
            executor::builder()
                .database_url(&options.database_url)
                .slots(options.slots.unwrap_or(SLOTS))
                .connect()
        };
        Ok(Self {
            creator: handle().await.map_err(text)?,
            worker: handle().await.map_err(text)?,
        })
    }

    async fn create(&self, steps: Steps) -> Result<()> {
        let program = program(steps);
        program.create(&self.creator).await.map_err(text)?;
        Ok(())
    }

    async fn create_many(&self, count: usize, steps: Steps) -> Result<()> {
        let programs = (0..count).map(|_| program(steps));
        let created = self.creator.create_many(programs).await.map_err(text)?;
        for program in created {
            program.map_err(text)?;
        }
        Ok(())
    }

    async fn work(
        &self,
        _steps: Steps,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        self.worker.work_until(end).await.map_err(text)
    }
}

fn program(steps: Steps) -> DynProgram {
    let program = DynProgram::new(()).then(First);
    match steps {
        Steps::One => program,
        Steps::Two => program.then(Second),
    }
}

/// Its error takes any other in, and so is none that others take in.
fn text(error: executor::Error) -> Box<dyn std::error::Error + Send + Sync> {
    error.to_string().into()
}

fn main() -> Result<()> {
    contest::run::<Ours>()
}
