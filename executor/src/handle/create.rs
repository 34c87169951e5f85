//! Creation of programs: concurrent ones go to the store together.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::Executor;
use crate::{
    broker::{self, Broker},
    error::{Error, ErrorKind, Result},
    job::TxConnection,
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
    /// Whether another program had the unique key already.
    pub existed: bool,
    /// Whether that one had not begun, and has the data and the time of this one now
    /// ([`replace`](crate::ProgramExt::replace)).
    pub replaced: bool,
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

    /// Stores the program within a transaction of the application's. See [`Executor::create_in`].
    ///
    /// # Errors
    /// As [`Executor::create_in`].
    fn create_in<C: CreateIn>(
        self,
        executor: &Executor,
        conn: &mut C,
    ) -> impl Future<Output = Result<RunId>> + Send {
        let program = self.erase().checked();
        async move { Ok(executor.store_in(program?, conn).await?.run_id) }
    }
}

impl<P: IntoProgram> ProgramCreate for P {}

/// A connection on which programs can be created: [`Pg`](crate::Pg), `MySql` or
/// [`Sqlite`](crate::Sqlite), or such a one out of a deadpool (`&mut *conn` for other pools).
pub trait CreateIn: Send {
    /// The connection itself.
    #[doc(hidden)]
    type Conn: TxConnection;

    #[doc(hidden)]
    fn connection(&mut self) -> &mut Self::Conn;
}

impl<C: TxConnection> CreateIn for C {
    type Conn = C;

    fn connection(&mut self) -> &mut C {
        self
    }
}

#[cfg(feature = "server")]
impl<M: deadpool::managed::Manager<Type: TxConnection>> CreateIn for deadpool::managed::Object<M>
where
    Self: Send,
{
    type Conn = M::Type;

    fn connection(&mut self) -> &mut M::Type {
        self
    }
}

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

    /// Stores a program on a connection of the application's own, within the transaction that is open
    /// there: it exists if and only if that commits, and is started then.
    ///
    /// ```no_run
    /// # use executor::prelude::*;
    /// # #[job] async fn greet(name: String) -> Result<(), JobError> { Ok(()) }
    /// # #[cfg(feature = "sqlite")]
    /// # async fn test(executor: Executor, conn: &mut executor::Sqlite) -> executor::Result<()> {
    /// use diesel_async::{AsyncConnection, RunQueryDsl};
    ///
    /// conn.transaction(async |conn| {
    ///     diesel::sql_query("INSERT INTO customers (name) VALUES ('Ada')").execute(conn).await?;
    ///     executor.create_in(Greet { name: "Ada".to_owned() }, conn).await?;
    ///     Ok::<_, executor::JobError>(())
    /// })
    /// .await
    /// .map_err(|e| e.to_string())?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The program cannot run, the connection is one to another database than the executor's, or the
    /// database refuses; the transaction is then the application's to roll back.
    pub async fn create_in<C: CreateIn>(
        &self,
        program: impl IntoProgram,
        conn: &mut C,
    ) -> Result<Created> {
        self.store_in(program.erase().checked()?, conn).await
    }

    async fn store_in<C: CreateIn>(&self, program: Checked, conn: &mut C) -> Result<Created> {
        let programs = vec![new_program(program)];
        let created = self.store().create_in(conn.connection(), programs).await?;
        let created = created.into_iter().next();
        let created = created.unwrap_or_else(|| Err(Error::new(ErrorKind::Store, "not stored")));
        created.map(Created::from)
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
        let programs = std::mem::take(batch);
        let created = broker::create(self.store(), &*self.0.broker, programs).await?;
        for (place, created) in places.drain(..).zip(created) {
            results[place] = created.map(Created::from);
        }
        Ok(())
    }

    async fn store_one(&self, program: Checked) -> Result<Created> {
        let creator = self
            .0
            .creator
            .get_or_init(|| Creator::start(Arc::clone(&self.0.store), Arc::clone(&self.0.broker)));
        creator.create(new_program(program)).await
    }
}

pub(crate) fn new_program(program: Checked) -> NewProgram {
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
            replaced: created.replaced,
        }
    }
}

/// Groups concurrent creations: those that arrive while a commit is under way share the next.
pub(super) struct Creator(mpsc::Sender<Request>);

type Request = (NewProgram, oneshot::Sender<Result<Created>>);

impl Creator {
    fn start(store: Arc<dyn Store>, broker: Arc<dyn Broker>) -> Self {
        let (sender, receiver) = mpsc::channel(MOST);
        // It ends when the last handle is dropped.
        tokio::spawn(group(store, broker, receiver));
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

async fn group(
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    mut requests: mpsc::Receiver<Request>,
) {
    let mut batch = Vec::new();
    while requests.recv_many(&mut batch, MOST).await > 0 {
        let (programs, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        // A caller that has gone away does not wait for its answer.
        match broker::create(&*store, &*broker, programs).await {
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
