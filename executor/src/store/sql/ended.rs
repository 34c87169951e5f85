//! Ended programs that are kept no longer.

use super::{
    Outcome, Session,
    filter::among,
    statement::{Statement, composed},
};

/// Deletes those of these programs that have still ended: one that was retried a moment ago stays
/// (SEMANTICS §3.4).
pub(in crate::store) async fn delete<S: Session>(s: &mut S, ids: &[i64]) -> Outcome<usize> {
    if ids.is_empty() {
        return Ok(0);
    }
    s.run(deletion(ids)).await
}

pub(in crate::store) fn deletion<'a>(ids: &[i64]) -> Statement<'a> {
    let (places, ids) = among(ids);
    // Written so that no index on these columns comes into question beside the key.
    let statement = composed(format!(
        "{{delete}} WHERE COALESCE(errored_at, finished_at) IS NOT NULL{places}"
    ));
    ids.fold(statement, Statement::int)
}
