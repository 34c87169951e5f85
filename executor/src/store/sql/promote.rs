//! Programs that kill their workers.

use serde::Deserialize;

use super::{Outcome, Session, history, rows, statement::sql};
use crate::{
    job::data_key,
    json,
    store::{Failure, Killed},
};

/// Errors a program whose workers died in one step of it.
pub(in crate::store) async fn kill<S: Session>(
    s: &mut S,
    id: i64,
    crashes: i64,
) -> Outcome<Killed> {
    const FIND: &str = "
        SELECT {object}('run_id', COALESCE(run_id, ''), 'step', {step},
          'retried', COALESCE(step_retry_count, 0), 'jobs', CAST(jobs AS {text}))
        FROM {t} WHERE id = ?";
    const KILL: &str = "
        UPDATE {t} SET errored_at = {now}, error_message = ?, updated_at = {now},
          errors = {history}, lease_until = NULL, worker = NULL, token = token + 1, crashes = ?
        WHERE id = ?";
    #[derive(Deserialize)]
    struct Found {
        run_id: String,
        step: usize,
        retried: u32,
        jobs: String,
    }
    let found = rows::<_, Found>(s, sql(FIND).int(id)).await?;
    let found = found
        .into_iter()
        .next()
        .ok_or(diesel::result::Error::NotFound)?;
    let jobs: Vec<String> = json::read(&found.jobs).unwrap_or_default();
    let job = if found.step < jobs.len() {
        data_key(&jobs, found.step)
    } else {
        String::new()
    };
    let message = format!(
        "its worker died {crashes} {} in this step",
        if crashes == 1 { "time" } else { "times" }
    );
    let failure = Failure {
        step: found.step,
        job,
        attempt: found.retried.saturating_add(1),
        message,
    };
    let statement = sql(KILL)
        .text(&failure.message)
        .text(history::entry(&failure));
    s.run(statement.int(crashes).int(id)).await?;
    Ok(Killed {
        run_id: found.run_id.into(),
        step: found.step,
        job: failure.job,
        message: failure.message,
    })
}
