//! Writes of running programs: straight, and then what is left.

use super::{Begin, Database, Inner, ServerSession, Straight, create, verb};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        NewProgram, StepWrite, Written,
        sql::{self, Failure, Outcome},
    },
};

impl<D: Database> Inner<D> {
    pub(super) async fn commit(&self, writes: &[StepWrite]) -> Result<Vec<Option<Written>>> {
        match self.write(writes).await {
            Err(error) if error.kind() == ErrorKind::Store => {
                // A value that the database refuses looks as if the database were in trouble.
                let (mut json, mut texts) = (Vec::new(), Vec::new());
                for write in writes {
                    write.texts(&mut json, &mut texts);
                }
                Err(self.refusal(&json, &texts).await.unwrap_or(error))
            }
            written => written,
        }
    }

    /// Writes of running programs: those that are as the worker knows them all at once, the others by
    /// what is found. Each write is whole by itself, so that the two need not share a transaction;
    /// where children come with a write, they do.
    async fn write(&self, writes: &[StepWrite]) -> Result<Vec<Option<Written>>> {
        let starts =
            |write: &StepWrite| sql::commit::stores_children(write) || write.awaits().is_some();
        if writes.iter().any(starts) {
            return verb!(self, commits, Engine, self.deadline, |s| async {
                let straight = D::commit(s, writes, false).await?;
                settle_rest(s, writes, &straight).await
            });
        }
        let straight = verb!(self, commits, Engine, self.deadline, |s| D::commit(
            s, writes, true
        ))?;
        let done = |(write, straight): (&StepWrite, &Straight)| match straight {
            Straight::Written => true,
            Straight::Paused => !sql::commit::goes_on(write),
            Straight::Not => false,
        };
        if writes.iter().zip(&straight).all(done) {
            return Ok(vec![Some(Written::Committed); writes.len()]);
        }
        verb!(self, commits, Engine, self.deadline, |s| settle_rest(
            s, writes, &straight
        ))
    }

    /// Whether the database is well, and can't hold these values: then the reason (SEMANTICS §1.4).
    ///
    /// Whoever refuses a value is still there after that. A connection that has ended says nothing of the
    /// value, unless the database is one that closes it over a value which is too large; that one does so
    /// each time, and is well in between.
    pub(super) async fn refusal(&self, json: &[&str], texts: &[&str]) -> Option<Error> {
        const TIMES: usize = 3;
        let mut last = None;
        for _ in 0..TIMES {
            let Ok(Held::Yes) = self.hold(&[], &[]).await else {
                return None;
            };
            last = match self.hold(json, texts).await {
                Ok(Held::Refused(error)) => return Some(refused(&error)),
                Ok(Held::Ended(error)) if D::CLOSES_OVER_LARGE_VALUES => Some(error),
                Ok(Held::Yes | Held::Ended(_)) | Err(_) => return None,
            };
        }
        last.as_ref().map(refused)
    }

    /// Asks whether the database can hold these values.
    async fn hold(&self, json: &[&str], texts: &[&str]) -> Result<Held> {
        let hold = async {
            let mut session = self.session(&self.others, Begin::Look).await?;
            match D::can_hold(&mut session, json, texts).await {
                Ok(()) => session.end(Ok(Held::Yes)).await,
                Err(Failure::Ours(error)) => session.end(Ok(Held::Refused(error))).await,
                Err(Failure::Sql(error)) => {
                    let error = self.database.explain(error);
                    Ok(match session.survives().await {
                        true => Held::Refused(error),
                        false => Held::Ended(error),
                    })
                }
            }
        };
        self.within(self.deadline, hold).await
    }
}

/// What a database says of values.
enum Held {
    Yes,
    Refused(Error),
    /// It has ended the connection, or somebody has.
    Ended(Error),
}

fn refused(error: &Error) -> Error {
    Error::new(ErrorKind::InvalidData, error.to_string())
}

/// What is left to do after the straight way: the writes that it did not fit, children, and paused
/// queues.
async fn settle_rest<D: Database>(
    s: &mut ServerSession<D>,
    writes: &[StepWrite],
    straight: &[Straight],
) -> Outcome<Vec<Option<Written>>> {
    use sql::commit::{goes_on, release_if_paused, settle, stores_children};

    let mut written = Vec::with_capacity(writes.len());
    for (write, straight) in writes.iter().zip(straight) {
        let done = match straight {
            Straight::Written | Straight::Paused => Some(Written::Committed),
            Straight::Not => settle(s, write).await?,
        };
        let may_be_paused = *straight != Straight::Written && goes_on(write);
        written.push(match done {
            Some(Written::Committed) if may_be_paused => Some(release_if_paused(s, write).await?),
            done => done,
        });
    }
    let stored = |written: &Option<Written>| {
        matches!(
            written,
            Some(Written::Committed | Written::Released | Written::Stopped)
        )
    };
    let children: Vec<&NewProgram> = writes
        .iter()
        .zip(&written)
        .filter(|(write, written)| stored(written) && stores_children(write))
        .flat_map(|(write, _)| &write.children)
        .collect();
    if !children.is_empty() {
        // A child whose unique key is taken is that other program: nothing to add.
        create::insert::<D, _>(s, &children, true).await?;
    }
    for (write, written) in writes.iter().zip(&written) {
        if let Some(child) = sql::waits::to_start(s, write, written.as_ref()).await? {
            let created = create::insert::<D, _>(s, &[child], true).await?;
            for created in created {
                let child = created.map_err(sql::Failure::Ours)?.run_id;
                sql::waits::begin(s, write.fence, &child).await?;
            }
        }
    }
    Ok(written)
}
