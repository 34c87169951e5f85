//! Places under limits, which running programs have.

use std::time::Duration;

use crate::store::{
    Hold, WorkerId,
    sql::{Outcome, Session, millis, statement::sql},
};

/// Gives places back, in the order of the limits' names.
pub(in crate::store) async fn release<S: Session>(s: &mut S, holds: &[Hold]) -> Outcome<()> {
    const RELEASE: &str = "DELETE FROM {table holds} WHERE program = ? AND token = ?";
    // Limits without a key have nothing parked: whoever has room is told.
    const LOOK: &str = "
        UPDATE {table limits} SET recheck_at = {now_ms}
        WHERE name = ? AND recheck_at IS NOT NULL";
    let mut sorted: Vec<&Hold> = holds.iter().collect();
    sorted.sort();
    for hold in &sorted {
        s.run(sql(RELEASE).int(hold.program).int(hold.token))
            .await?;
    }
    sorted.dedup_by(|a, b| a.name == b.name);
    for hold in sorted {
        s.run(sql(LOOK).text(hold.name.as_str())).await?;
    }
    Ok(())
}

/// Extends the places of a worker that lives; what has ended stays ended.
pub(in crate::store) async fn extend<S: Session>(
    s: &mut S,
    worker: WorkerId,
    time: Duration,
) -> Outcome<()> {
    const EXTEND: &str = "
        UPDATE {table holds} SET held_until = {now_ms} + ? WHERE worker = ? AND held_until > {now_ms}";
    let statement = sql(EXTEND).int(millis(time)).text(worker.to_string());
    s.run(statement).await.map(drop)
}
