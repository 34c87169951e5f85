//! New programs as the columns hold them.

use super::{Outcome, Session, millis, statement::sql};
use crate::{config::DEFAULT_QUEUE, program::Start, run_id::RunId, store::NewProgram};

/// A program as the columns hold it. A time is absolute, or counts from the database's now.
pub(in crate::store) struct Row<'a> {
    pub(in crate::store) run_id: &'a str,
    pub(in crate::store) name: Option<&'a str>,
    pub(in crate::store) queue: &'a str,
    pub(in crate::store) jobs: String,
    pub(in crate::store) job: &'a str,
    pub(in crate::store) program_data: &'a str,
    pub(in crate::store) job_data: &'a str,
    pub(in crate::store) attributes: &'a str,
    pub(in crate::store) priority: i64,
    pub(in crate::store) at: Option<i64>,
    pub(in crate::store) after: i64,
    pub(in crate::store) unique_key: Option<&'a str>,
    pub(in crate::store) retry_after: Option<i64>,
    pub(in crate::store) parent: Option<&'a str>,
}

pub(in crate::store) fn row(new: &NewProgram) -> Row<'_> {
    let program = &new.program;
    let options = &program.options;
    let (at, after) = match options.start {
        Start::Now => (None, 0),
        Start::At(time) => (Some(time.as_millis()), 0),
        Start::After(delay) => (None, millis(delay)),
    };
    Row {
        run_id: new.run_id.as_str(),
        name: options.name.as_deref(),
        queue: options.queue.as_deref().unwrap_or(DEFAULT_QUEUE),
        // A list of strings: nothing can fail.
        jobs: serde_json::to_string(&program.jobs).unwrap_or_default(),
        job: &program.jobs[0],
        program_data: &program.program_data,
        job_data: &program.job_data,
        attributes: &program.attributes,
        priority: i64::from(options.priority),
        at,
        after,
        unique_key: options.unique_key.as_deref(),
        retry_after: options.retry_after.map(millis),
        parent: new.parent.as_ref().map(RunId::as_str),
    }
}

/// The unfinished program that has the key.
pub(in crate::store) async fn holder<S: Session>(s: &mut S, key: &str) -> Outcome<Option<RunId>> {
    const HOLDER: &str = "SELECT run_id FROM {t} WHERE {holds}";
    let found = s.texts(sql(HOLDER).text(key)).await?;
    Ok(found.into_iter().next().map(RunId::from))
}
