//! Ends of leases that no worker can have set: the database's clock has gone back since (SEMANTICS §2.5).
//!
//! Without a word of anybody's they would be waited for, however far ahead they are, and a dead worker's
//! programs with them. What is held by nobody in the list of workers may be a receiver's, or may have been one's
//! before it was taken away: there no end is too far ahead that one of those can have set.

use std::time::Duration;

use super::{
    Outcome, Session,
    filter::among,
    millis, number,
    statement::{Statement, composed, sql},
};
use crate::config::LONGEST_LEASE;

/// Programs of one look at most.
const MOST: usize = 1000;

/// How much further ahead than the longest lease an end must be: a statement that a heartbeat overtakes
/// takes no longer.
const MARGIN: i64 = 1000;

/// The longest lease of the workers, and the programs whose lease ends further ahead. Those of which a
/// body is waited for, after its claim was taken away, are among them.
#[derive(Debug, Default)]
pub(in crate::store) struct FarAhead {
    longest: i64,
    ids: Vec<i64>,
}

/// That this time is too far ahead. Those who receive programs are in no list, and their leases may be longer
/// than any worker's. The limit keeps planners from reading the whole list.
macro_rules! too_far {
    ($due:literal) => {
        concat!(
            $due,
            " > {now_ms} + ? AND (",
            $due,
            " > {now_ms} + ? OR (SELECT 1 FROM {table workers} w WHERE w.id = worker LIMIT 1) = 1)"
        )
    };
}

/// The statement that finds them: a range of the index, in which there is mostly nothing.
pub(in crate::store) fn far<'a>(longest: i64) -> Statement<'a> {
    const FAR: &str = concat!(
        "SELECT CAST(id AS {text}) FROM {t}{claimed} AND ",
        too_far!("{due}"),
        " ORDER BY {due} LIMIT ?"
    );
    sql(FAR)
        .int(longest.saturating_add(MARGIN))
        .int(millis(LONGEST_LEASE).saturating_add(MARGIN))
        .int(number(MOST))
}

/// Looks for them, without a lock.
pub(in crate::store) async fn far_ahead<S: Session>(s: &mut S) -> Outcome<FarAhead> {
    const LONGEST: &str = "SELECT CAST(COALESCE(MAX(lease), 0) AS {text}) FROM {table workers}";
    let longest = s.texts(sql(LONGEST)).await?;
    let longest = longest.first().and_then(|text| text.parse().ok());
    let Some(longest) = longest.filter(|longest| *longest > 0) else {
        // Nobody works here, and nobody waits.
        return Ok(FarAhead::default());
    };
    let ids = s.texts(far(longest)).await?;
    Ok(FarAhead {
        longest,
        ids: ids.iter().filter_map(|id| id.parse().ok()).collect(),
    })
}

/// They end one lease from now, those that nobody holds; so do the places under limits of workers that
/// were not heard of for a lease. How many programs there were.
pub(in crate::store) async fn shorten<S: Session>(
    s: &mut S,
    far: &FarAhead,
    grace: Duration,
) -> Outcome<usize> {
    const LOCK: &str = concat!(
        "SELECT CAST(id AS {text}) FROM {t}{by_key} WHERE ",
        too_far!("COALESCE(lease_until, available_at)")
    );
    // A live worker's next heartbeat is not later than that.
    const SHORTEN: &str = "
        UPDATE {t}{by_key} SET
          available_at = CASE WHEN lease_until IS NULL AND available_at = busy_until
            THEN {now_ms} + ? ELSE available_at END,
          busy_until = CASE WHEN busy_until > {now_ms} + ? THEN {now_ms} + ? ELSE busy_until END,
          lease_until = CASE WHEN lease_until IS NOT NULL THEN {now_ms} + ? END
        WHERE (lease_until IS NOT NULL OR available_at = busy_until)";
    const PLACES: &str = "
        UPDATE {table holds} SET held_until = {now_ms} + ? WHERE held_until > {now_ms} + ?
          AND worker NOT IN (SELECT w.id FROM {table workers} w
            WHERE w.seen_at BETWEEN {now_ms} - w.lease AND {now_ms} + w.lease)";
    let longest = far.longest;
    if longest == 0 {
        return Ok(0);
    }
    let limit = longest.saturating_add(MARGIN);
    let place = longest.saturating_add(millis(grace));
    let places = sql(PLACES).int(place).int(place.saturating_add(MARGIN));
    s.run(places).await?;
    if far.ids.is_empty() {
        return Ok(0);
    }
    let (places, ids) = among(&far.ids);
    let lock = composed(format!("{LOCK}{places} ORDER BY id{{unlocked}}")).int(limit);
    let lock = lock.int(millis(LONGEST_LEASE).saturating_add(MARGIN));
    let found = s.texts(ids.fold(lock, Statement::int)).await?;
    let found: Vec<i64> = found.iter().filter_map(|id| id.parse().ok()).collect();
    if found.is_empty() {
        return Ok(0);
    }
    let (places, ids) = among(&found);
    let shorten = composed(format!("{SHORTEN}{places}")).int(longest);
    let shorten = shorten.int(limit).int(longest).int(longest);
    s.run(ids.fold(shorten, Statement::int)).await
}
