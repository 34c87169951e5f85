//! How a handle becomes a worker.

use crate::{error::Result, handle::Executor, run_id::RunId, store::ProgramInfo};

impl Executor {
    /// Works in this task until `shutdown` is ready, and then until all running jobs have ended or
    /// were given back.
    ///
    /// ```no_run
    /// # async fn test() -> executor::Result<()> {
    /// let executor = executor::Executor::connect().await?;
    /// executor.work_until(async { let _ = tokio::signal::ctrl_c().await; }).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// No job is registered, two have one name, state is missing, or the store refuses. One that is
    /// away is waited for.
    pub async fn work_until(&self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let inner = self.inner();
        let stop = inner.stop.clone();
        let either = async move {
            tokio::select! {
                () = shutdown => {}
                () = stop.cancelled() => {}
            }
        };
        let _working = inner.workers.token();
        Box::pin(super::run_until(inner, either)).await
    }

    /// Works in this task until these programs have ended, as a script or a test wants it; other
    /// programs that are due run as well.
    ///
    /// ```no_run
    /// # use executor::prelude::*;
    /// # #[job] async fn greet(name: String) -> Result<(), JobError> { Ok(()) }
    /// # async fn test(executor: Executor) -> executor::Result<()> {
    /// let run_id = Greet { name: "Ada".to_owned() }.create(&executor).await?;
    /// let ended = executor.work_until_ended([&run_id]).await?;
    /// println!("{}", ended[0].state);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`work_until`](Executor::work_until), and when one of the programs is not there.
    pub async fn work_until_ended(
        &self,
        run_ids: impl IntoIterator<Item = &RunId>,
    ) -> Result<Vec<ProgramInfo>> {
        let run_ids: Vec<RunId> = run_ids.into_iter().cloned().collect();
        let mut ended = Ok(Vec::with_capacity(run_ids.len()));
        let all_ended = async {
            for run_id in &run_ids {
                match (self.wait(run_id).await, &mut ended) {
                    (Ok(program), Ok(programs)) => programs.push(program),
                    (Err(error), ended) => *ended = Err(error),
                    (Ok(_), Err(_)) => {}
                }
            }
        };
        self.work_until(all_ended).await?;
        ended
    }
}
