//! Creation of programs: concurrent ones go to the store together.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::Executor;
use crate::{
    error::{Error, ErrorKind, Result},
    program::{Checked, IntoProgram},
    run_id::RunId,
    store::{self, NewProgram, Store},
};

/// Programs of one batch at most.
const MOST: usize = 1000;

/// What creating a program came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// The program's run id; or, when its unique key was taken, that of the program that has it.
    pub run_id: RunId,
    /// Whether an unfinished program had the unique key already.
    pub existed: bool,
}

/// Creates programs: the verb at the end of the sentence.
///
/// ```no_run
/// # use executor::prelude::*;
/// # #[job] async fn greet(name: String) -> Result<(), JobError> { Ok(()) }
/// # async fn test(executor: Executor) -> executor::Result<()> {
/// let run_id = Greet { name: "Ada".to_owned() }.queue("mail").create(&executor).await?;
/// # Ok(()) }
/// ```
pub trait ProgramCreate: IntoProgram {
    /// Stores the program; it is durable when this returns. See [`Executor::create`].
    ///
    /// # Errors
    /// As [`Executor::create`].
    fn create(self, executor: &Executor) -> impl Future<Output = Result<RunId>> + Send {
        let executor = executor.clone();
        let program = self.erase().checked();
        async move { Ok(executor.store_one(program?).await?.run_id) }
    }
}

impl<P: IntoProgram> ProgramCreate for P {}

impl Executor {
    /// Stores a program; it is durable when this returns, and runs on whichever worker is free.
    /// Programs that are created at the same time share a commit.
    ///
    /// # Errors
    /// The program cannot run (no jobs; and for programs from data: unknown jobs, data that does not
    /// fit), or the store cannot be written to: then nothing is stored.
    pub async fn create(&self, program: impl IntoProgram) -> Result<Created> {
        let program = program.erase().checked()?;
        self.store_one(program).await
    }

    /// Stores many programs with few commits; each has a result of its own, in order.
    ///
    /// # Errors
    /// The store cannot be written to; then the programs of the batches before that are stored.
    pub async fn create_many<P: IntoProgram>(
        &self,
        programs: impl IntoIterator<Item = P>,
    ) -> Result<Vec<Result<Created>>> {
        let mut results = Vec::new();
        let mut places = Vec::new();
        let mut batch = Vec::new();
        for program in programs {
            match program.erase().checked() {
                Ok(program) => {
                    places.push(results.len());
                    results.push(Err(Error::new(ErrorKind::Store, "not stored")));
                    batch.push(new_program(program));
                }
                Err(error) => results.push(Err(error)),
            }
            if batch.len() == MOST {
                self.store_batch(&mut batch, &mut places, &mut results)
                    .await?;
            }
        }
        self.store_batch(&mut batch, &mut places, &mut results)
            .await?;
        Ok(results)
    }

    async fn store_batch(
        &self,
        batch: &mut Vec<NewProgram>,
        places: &mut Vec<usize>,
        results: &mut [Result<Created>],
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let created = self.store().create(std::mem::take(batch)).await?;
        for (place, created) in places.drain(..).zip(created) {
            results[place] = created.map(Created::from);
        }
        Ok(())
    }

    async fn store_one(&self, program: Checked) -> Result<Created> {
        let creator = self
            .0
            .creator
            .get_or_init(|| Creator::start(Arc::clone(&self.0.store)));
        creator.create(new_program(program)).await
    }
}

fn new_program(program: Checked) -> NewProgram {
    NewProgram {
        run_id: RunId::random(),
        program,
        parent: None,
    }
}

impl From<store::Created> for Created {
    fn from(created: store::Created) -> Self {
        Self {
            run_id: created.run_id,
            existed: created.existed,
        }
    }
}

/// Groups concurrent creations: those that arrive while a commit is under way share the next.
pub(super) struct Creator(mpsc::Sender<Request>);

type Request = (NewProgram, oneshot::Sender<Result<Created>>);

impl Creator {
    fn start(store: Arc<dyn Store>) -> Self {
        let (sender, receiver) = mpsc::channel(MOST);
        // It ends when the last handle is dropped.
        tokio::spawn(group(store, receiver));
        Self(sender)
    }

    async fn create(&self, program: NewProgram) -> Result<Created> {
        let gone = || {
            Error::new(
                ErrorKind::Store,
                "the runtime that the executor was made in is gone",
            )
        };
        let (answer, answered) = oneshot::channel();
        self.0.send((program, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn group(store: Arc<dyn Store>, mut requests: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    while requests.recv_many(&mut batch, MOST).await > 0 {
        let (programs, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        // A caller that has gone away does not wait for its answer.
        match store.create(programs).await {
            Ok(created) => {
                for (answer, created) in answers.into_iter().zip(created) {
                    let _ = answer.send(created.map(Created::from));
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(Error::new(error.kind(), error.to_string())));
                }
            }
        }
    }
}
