//! Places under limits, which running programs have.

use std::time::Duration;

use serde::Deserialize;

use crate::store::{
    Held, Hold, WorkerId,
    sql::{Outcome, Session, millis, rows, statement::sql},
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

/// Extends the places of a worker that lives, and tells which those are; what has ended stays ended.
pub(in crate::store) async fn extend<S: Session>(
    s: &mut S,
    worker: WorkerId,
    time: Duration,
) -> Outcome<Vec<Held>> {
    const EXTEND: &str = "
        UPDATE {table holds} SET held_until = {now_ms} + ? WHERE worker = ? AND held_until > {now_ms}";
    const HELD: &str = "
        SELECT {object}('program', program, 'token', token) FROM {table holds}
        WHERE worker = ? AND held_until > {now_ms}";
    #[derive(Deserialize)]
    struct Row {
        program: i64,
        token: i64,
    }
    let worker = worker.to_string();
    s.run(sql(EXTEND).int(millis(time)).text(&worker)).await?;
    let held = rows::<_, Row>(s, sql(HELD).text(&worker)).await?;
    let held = held.into_iter().map(|row| Held {
        id: row.program,
        token: row.token,
    });
    Ok(held.collect())
}
