//! What becomes available by itself: delays that are over, and leases of workers that are gone.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{Outcome, Session, create::order_key, history, millis, text::Lossy};
use crate::{
    job::data_key,
    json,
    store::{ClaimRequest, Failure, Held, Killed},
};

/// How many programs one claim makes available at most.
const MOST: i64 = 1000;

/// The statements of each claim, whose plans are tested.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[DUE, PROMOTE_DUE, PROMOTE_EXPIRED, RENEW];

const DUE: &str = r#"
SELECT id, token, lease_until IS NOT NULL, crashes, available_at, priority
FROM "{t}" INDEXED BY "{t}_due"
WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL
  AND COALESCE(lease_until, available_at) <= ?
ORDER BY COALESCE(lease_until, available_at) LIMIT ?"#;

const PROMOTE_DUE: &str = r#"
UPDATE "{t}" SET ready = 1, order_key = ?, waiting = NULL WHERE id = ?"#;

// Token and worker stay, and with them the right of the old worker to commit or to renew its
// lease, until somebody claims.
const PROMOTE_EXPIRED: &str = r#"
UPDATE "{t}" SET ready = 1, order_key = ?, waiting = NULL, lease_until = NULL,
  crashes = crashes + 1
WHERE id = ?"#;

const RENEW: &str = r#"UPDATE "{t}" SET lease_until = ? WHERE id = ?"#;

/// Makes available what has become due, and what dead workers held; errors what has killed too
/// many of them.
pub(super) fn promote(s: &mut Session<'_>, request: &ClaimRequest) -> Outcome<Vec<Killed>> {
    type Sql = (BigInt, BigInt, BigInt, BigInt, Nullable<BigInt>, BigInt);
    type Due = (i64, i64, i64, i64, Option<i64>, i64);
    let now = s.now.millis;
    let due = s
        .tables
        .statement(DUE)
        .int(now)
        .int(MOST)
        .rows::<Sql, Due, _>(s.conn)?;
    let mut killed = Vec::new();
    for (id, token, leased, crashes, available_at, priority) in due {
        let order = order_key(available_at.unwrap_or(now), priority);
        if leased == 0 {
            s.tables
                .statement(PROMOTE_DUE)
                .int(order)
                .int(id)
                .run(s.conn)?;
        } else if request.running.contains(&Held { id, token }) {
            // The store was away for longer than the lease, and nobody has come before us.
            let until = now.saturating_add(millis(request.lease));
            s.tables.statement(RENEW).int(until).int(id).run(s.conn)?;
        } else if crashes + 1 >= i64::from(request.max_crashes) {
            killed.push(kill(s, id, crashes + 1)?);
        } else {
            s.tables
                .statement(PROMOTE_EXPIRED)
                .int(order)
                .int(id)
                .run(s.conn)?;
        }
    }
    Ok(killed)
}

/// Errors a program whose workers died in one step of it.
fn kill(s: &mut Session<'_>, id: i64, crashes: i64) -> Outcome<Killed> {
    const FIND: &str = r#"
        SELECT COALESCE(run_id, ''), COALESCE(step, 0), COALESCE(step_retry_count, 0), jobs
        FROM "{t}" WHERE id = ?"#;
    const KILL: &str = concat!(
        "UPDATE \"{t}\" SET errored_at = ?, error_message = ?, updated_at = ?, ",
        history!(),
        ", lease_until = NULL, worker = NULL, token = token + 1, crashes = ? WHERE id = ?"
    );
    let rows = s
        .tables
        .statement(FIND)
        .int(id)
        .rows::<(Text, BigInt, BigInt, Text), (Lossy, i64, i64, Lossy), _>(s.conn)?;
    let (Lossy(run_id), step, retried, Lossy(jobs)) = rows
        .into_iter()
        .next()
        .ok_or(diesel::result::Error::NotFound)?;
    let step = usize::try_from(step).unwrap_or(0);
    let jobs: Vec<String> = json::read(&jobs).unwrap_or_default();
    let job = if step < jobs.len() {
        data_key(&jobs, step)
    } else {
        String::new()
    };
    let message = format!(
        "its worker died {crashes} {} in this step",
        if crashes == 1 { "time" } else { "times" }
    );
    let attempt = u32::try_from(retried).unwrap_or(0).saturating_add(1);
    let failure = Failure {
        step,
        job,
        attempt,
        message,
    };
    let text = s.now.text.clone();
    s.tables
        .statement(KILL)
        .text(&text)
        .text(&failure.message)
        .text(&text)
        .text(history::entry(&failure, &text))
        .int(crashes)
        .int(id)
        .run(s.conn)?;
    Ok(Killed {
        run_id: run_id.into(),
        step,
        job: failure.job,
        message: failure.message,
    })
}
