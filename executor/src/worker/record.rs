//! The writes of one program under a claim, in order: each waits for the one before it.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use super::{
    Shared,
    committer::{Pending, ends_the_claim},
    slots::Load,
};
use crate::{
    error::Error,
    job::{JobError, Journal, ProgramMemory, Reason, TxConn},
    json,
    run_id::RunId,
    store::{Change, Fence, NewProgram, StepWrite, Written},
};

/// A program's way to the store.
pub(super) struct Record {
    /// Gone when the claim has ended: nothing is written after that.
    fence: Arc<Mutex<Option<Fence>>>,
    commits: mpsc::Sender<Pending>,
    lease: Duration,
    load: Load,
    run_id: RunId,
    pub(super) memory: Arc<ProgramMemory>,
}

impl Record {
    pub(super) fn new(
        fence: Fence,
        commits: mpsc::Sender<Pending>,
        lease: Duration,
        load: Load,
        run_id: RunId,
        memory: Arc<ProgramMemory>,
    ) -> Arc<Self> {
        let fence = Arc::new(Mutex::new(Some(fence)));
        Arc::new(Self {
            fence,
            commits,
            lease,
            load,
            run_id,
            memory,
        })
    }

    /// Writes an arrow, with the programs that the body has started.
    pub(super) async fn write(&self, change: Change) -> Written {
        let fence = Arc::clone(&self.fence).lock_owned().await;
        let (children, ordinal) = self.buffered();
        self.write_behind(fence, change, children, ordinal).await
    }

    async fn write_behind(
        &self,
        mut fence: OwnedMutexGuard<Option<Fence>>,
        change: Change,
        children: Vec<NewProgram>,
        ordinal: u32,
    ) -> Written {
        let Some(before) = *fence else {
            return Written::LeaseLost;
        };
        let goes_on = !ends_the_claim(&change);
        let saves = matches!(change, Change::Save { .. });
        let (answer, answered) = oneshot::channel();
        let write = StepWrite {
            fence: before,
            change,
            children,
            ordinal,
            lease: self.lease,
        };
        // The committer outlives all programs; if it is gone, the process is ending.
        let sent = self
            .commits
            .send(Pending {
                write,
                answer,
                load: self.load,
            })
            .await;
        let written = match sent {
            Ok(()) => answered.await.unwrap_or(Written::LeaseLost),
            Err(_) => Written::LeaseLost,
        };
        let after = Fence {
            rev: before.rev + 1,
            ..before
        };
        *fence = match &written {
            Written::Committed => goes_on.then_some(after),
            // A body whose program was stopped has the lease to give back.
            Written::Stopped => saves.then_some(after),
            Written::Refused(_) => Some(before),
            Written::Released | Written::LeaseLost => None,
        };
        written
    }

    /// Ends a job's transaction with the last write of its step. `None`: nothing was written.
    pub(super) async fn write_in(
        &self,
        worker: &Shared,
        tx: Box<dyn TxConn>,
        change: Change,
    ) -> Result<Written, Error> {
        let mut fence = Arc::clone(&self.fence).lock_owned().await;
        let Some(before) = *fence else {
            return Ok(Written::LeaseLost);
        };
        let goes_on = !ends_the_claim(&change);
        let unsaved = std::mem::take(&mut self.memory.changing().unsaved);
        let save = unsaved.then(|| json::map_text(&self.memory.changing().job_data));
        let save = save.map(|job_data| Change::Save { job_data });
        let (mut children, ordinal) = self.buffered();
        let mut last = before;
        let mut writes = Vec::new();
        for change in save.into_iter().chain([change]) {
            last = Fence {
                rev: before.rev + i64::try_from(writes.len()).unwrap_or(0),
                ..before
            };
            writes.push(StepWrite {
                fence: last,
                change,
                children: std::mem::take(&mut children),
                ordinal,
                lease: self.lease,
            });
        }
        let written = super::tx::commit(worker, tx, writes, last).await?;
        *fence = match &written {
            Written::Committed => goes_on.then_some(Fence {
                rev: last.rev + 1,
                ..last
            }),
            _ => None,
        };
        Ok(written)
    }

    /// The started programs that are not stored yet, and how many the step has started.
    fn buffered(&self) -> (Vec<NewProgram>, u32) {
        let mut changing = self.memory.changing();
        let children = std::mem::take(&mut changing.children);
        let children = children.into_iter().map(|(run_id, program)| NewProgram {
            run_id,
            program,
            parent: Some(self.run_id.clone()),
        });
        (children.collect(), changing.ordinal)
    }
}

/// Saved progress. What is written is what there is when the writes before it are done, so that two
/// saves at once both stay. It is written in a task of its own: a body that is dropped while it
/// waits leaves no write half done, and the next write still comes after it.
impl Journal for Arc<Record> {
    fn save(&self) -> Pin<Box<dyn Future<Output = Result<(), JobError>> + Send + '_>> {
        let record = Arc::clone(self);
        Box::pin(async move {
            let fence = Arc::clone(&record.fence).lock_owned().await;
            let job_data = json::map_text(&record.memory.changing().job_data);
            let (children, ordinal) = record.buffered();
            let saving = tokio::spawn(async move {
                record
                    .write_behind(fence, Change::Save { job_data }, children, ordinal)
                    .await
            });
            match saving.await {
                Ok(Written::Committed) => Ok(()),
                Ok(Written::Stopped) => Err(JobError::new(Reason::Cancelled)),
                Ok(Written::LeaseLost | Written::Released) => Err(JobError::new(Reason::LeaseLost)),
                Ok(Written::Refused(why)) => {
                    Err(JobError::fatal(format!("could not be stored: {why}")))
                }
                Err(error) => Err(JobError::new(Reason::Store(error.into()))),
            }
        })
    }
}
