//! What is done to many programs: in batches, each of which is whole.

use std::sync::Arc;

use super::Executor;
use crate::{
    error::{ErrorKind, Result},
    store::{Bulk, BulkVerb, Ended, Filter, Prune, Tally},
};

/// Programs of one batch.
const BATCH: usize = 1000;

impl Executor {
    /// Ends all unfinished programs that match as errored; their running jobs are cancelled as by
    /// [`cancel`](Executor::cancel).
    ///
    /// It goes in batches until none is left; those whose rows somebody holds locked are left out.
    ///
    /// ```no_run
    /// # async fn test(executor: executor::Executor) -> executor::Result<()> {
    /// use executor::{BulkVerb, Filter};
    ///
    /// let mails = Filter::new().queue("mail").attribute("customer", 7);
    /// let number = executor.count_for(BulkVerb::Cancel, mails.clone()).await?; // a dry run
    /// let tally = executor.cancel_all(mails).await?;
    /// println!("{} of {number} are cancelled", tally.done);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The store cannot be written to; what was done before stays done.
    pub async fn cancel_all(&self, filter: Filter) -> Result<Tally> {
        self.bulk(BulkVerb::Cancel, filter).await
    }

    /// Makes all errored programs that match go on from the step that failed. Those whose unique key
    /// another program has by now are left as they are, and counted.
    ///
    /// # Errors
    /// As [`cancel_all`](Executor::cancel_all).
    pub async fn retry_all(&self, filter: Filter) -> Result<Tally> {
        self.bulk(BulkVerb::Retry, filter).await
    }

    /// Deletes all programs that match, in whatever state; their running jobs are cancelled.
    ///
    /// # Errors
    /// As [`cancel_all`](Executor::cancel_all).
    pub async fn delete_all(&self, filter: Filter) -> Result<Tally> {
        self.bulk(BulkVerb::Delete, filter).await
    }

    /// How many programs a verb is for that is done to all that match: a dry run.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn count_for(&self, verb: BulkVerb, filter: Filter) -> Result<usize> {
        self.store().count(Arc::new(Bulk { verb, filter })).await
    }

    async fn bulk(&self, verb: BulkVerb, filter: Filter) -> Result<Tally> {
        let most = filter.limit.unwrap_or(usize::MAX);
        let bulk = Arc::new(Bulk { verb, filter });
        let mut done = 0;
        loop {
            // A walk leaves out what others hold for a moment: there is another one, as long as
            // something comes of it.
            let walk = self.walk(&bulk, most - done).await?;
            done += walk.done;
            if walk.done == 0 || done >= most {
                let refused = walk.refused;
                return Ok(Tally { done, refused });
            }
        }
    }

    /// Goes once over all that match.
    async fn walk(&self, bulk: &Arc<Bulk>, most: usize) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut floor = i64::MIN;
        while tally.done < most {
            let limit = BATCH.min(most - tally.done);
            let batch = self.store().bulk(Arc::clone(bulk), floor, limit).await?;
            tally.done += batch.done;
            tally.refused += batch.refused;
            for run_id in &batch.one_by_one {
                match self.retry(run_id).await {
                    Ok(retried) => tally.done += usize::from(retried),
                    // Its key is taken; or was, at that very moment.
                    Err(error) => match error.kind() {
                        ErrorKind::Conflict | ErrorKind::InvalidData => tally.refused += 1,
                        _ => return Err(error),
                    },
                }
            }
            if bulk.verb != BulkVerb::Retry && batch.done > 0 {
                self.0.nudge.send_replace(());
            }
            match batch.floor {
                Some(last) => floor = last,
                None => break,
            }
        }
        Ok(tally)
    }

    /// Deletes ended programs that are old enough, in batches; how many they were. A time alone is for
    /// finished and errored ones of all queues.
    ///
    /// ```no_run
    /// # async fn test(executor: executor::Executor) -> executor::Result<()> {
    /// use std::time::Duration;
    /// use executor::{ProgramState, Prune};
    ///
    /// const DAY: Duration = Duration::from_secs(24 * 3600);
    /// executor.prune(30 * DAY).await?;
    /// executor.prune(Prune::older_than(DAY).state(ProgramState::Finished).queue("mail")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The store cannot be written to; what was deleted before stays deleted.
    pub async fn prune(&self, prune: impl Into<Prune>) -> Result<usize> {
        let mut pruned = 0;
        for ended in self.ended(&prune.into()).await? {
            loop {
                let batch = self.store().prune(ended.clone(), BATCH).await?;
                pruned += batch;
                if batch == 0 {
                    break;
                }
            }
        }
        Ok(pruned)
    }

    /// How many programs [`prune`](Executor::prune) would delete: a dry run.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn count_prunable(&self, prune: impl Into<Prune>) -> Result<usize> {
        let mut counted = 0;
        for ended in self.ended(&prune.into()).await? {
            counted += self.store().count_ended(ended).await?;
        }
        Ok(counted)
    }

    /// The queues and states that this is about.
    async fn ended(&self, prune: &Prune) -> Result<Vec<Ended>> {
        let mut all = Vec::new();
        for state in prune.ends() {
            let mut queues = Vec::new();
            match &prune.queue {
                Some(queue) => queues.push(queue.clone()),
                None => {
                    let mut last = String::new();
                    while let Some(queue) = self.store().queue_of_ended(state, last).await? {
                        last = queue.clone();
                        queues.push(queue);
                    }
                }
            }
            let age = prune.age;
            all.extend(queues.into_iter().map(|queue| Ended { state, queue, age }));
        }
        Ok(all)
    }
}
