//! Programs that program-executor's workers run as well (SEMANTICS §6).

use serde::Deserialize;

use super::{
    Flag, Outcome, Session, list, millis, number, rows,
    statement::{Statement, composed, sql},
};
use crate::{
    json,
    run_id::RunId,
    store::{Adopted, Offer, Orphans, Taken},
};

/// Programs of one statement at most.
const MOST: usize = 256;

/// A program that was never ours before was made by program-executor: there a job has one place for its
/// data, however often it stands in the program. Nothing that this is read from may be set before.
macro_rules! origin {
    () => {
        "shared_keys = CASE WHEN token = 0 AND order_key IS NULL THEN 1 ELSE shared_keys END"
    };
}

/// A row that a message may be about.
#[derive(Deserialize)]
struct Found {
    id: i64,
    run_id: String,
    jobs: String,
    cur_step: Option<usize>,
    token: i64,
    /// Whether the broker has it, or had when somebody who hands it over was about to let go.
    announced: Flag,
    leased: Flag,
    waits: Flag,
    parked: Flag,
    ended: Flag,
}

impl Found {
    /// The step at which these jobs are left; `None`: they are not what is left of this program.
    fn step(&self, left: &[String]) -> Option<usize> {
        let jobs: Vec<String> = json::read(&self.jobs).ok()?;
        let step = jobs.len().checked_sub(left.len())?;
        (!left.is_empty() && jobs[step..] == *left).then_some(step)
    }

    /// What a message for this step is worth.
    fn worth(&self, step: usize) -> Taken {
        let never_claimed = self.token == 0 && step == 0;
        if self.ended.0 {
            Taken::Void("the program has ended")
        } else if self.cur_step.is_some_and(|ours| step < ours) {
            Taken::Void("the step is done")
        } else if self.waits.0 || self.parked.0 {
            Taken::Void("the program waits in the store")
        } else if self.announced.0 || (never_claimed && !self.leased.0) {
            Taken::Ours
        } else if self.leased.0 {
            Taken::Later
        } else {
            Taken::Void("the store has the program")
        }
    }
}

/// Takes programs that messages name from the broker into the store, where they are available then.
///
/// A program that is just being handed over is taken from who does that: its claim is over.
pub(in crate::store) async fn take_in<S: Session>(
    s: &mut S,
    offers: &[Offer],
) -> Outcome<Vec<Taken>> {
    let mut taken = Vec::with_capacity(offers.len());
    for offers in offers.chunks(MOST) {
        let mut found = find(s, offers, "{unlocked}").await?;
        let missing = |offer: &&Offer| !found.iter().any(|row| row.run_id == offer.run_id);
        let missing: Vec<Offer> = offers.iter().filter(missing).cloned().collect();
        let locked = match missing.is_empty() {
            true => Vec::new(),
            false => find(s, &missing, "").await?,
        };
        for offer in offers {
            let is_named = |row: &Found| row.run_id == offer.run_id;
            let worth = if let Some((step, row)) = best(&mut found, offer) {
                let worth = row.worth(step);
                if worth == Taken::Ours {
                    take(s, offer, step, row).await?;
                }
                worth
            } else if found.iter().any(is_named) {
                Taken::Void("its jobs are not what is left of the program")
            } else if locked.iter().any(is_named) {
                Taken::Locked
            } else {
                Taken::Void("there is no such program")
            };
            taken.push(worth);
        }
    }
    Ok(taken)
}

/// The row that is meant: run ids of program-executor's are not unique, so one that fits and goes on is
/// preferred.
fn best<'r>(found: &'r mut [Found], offer: &Offer) -> Option<(usize, &'r mut Found)> {
    let fits = found.iter_mut().filter(|row| row.run_id == offer.run_id);
    let mut fits: Vec<_> = fits
        .filter_map(|row| Some((row.step(&offer.jobs)?, row)))
        .collect();
    fits.sort_by_key(|(_, row)| row.ended.0);
    fits.into_iter().next()
}

/// The rows with these run ids; `lock`: how they are kept from others.
async fn find<S: Session>(s: &mut S, offers: &[Offer], lock: &str) -> Outcome<Vec<Found>> {
    let ids = offers.iter().map(|offer| offer.run_id.as_str()).collect();
    let (places, ids) = list(ids, "");
    let find = composed(format!(
        "SELECT {{object}}('id', id, 'run_id', run_id, 'jobs', CAST(jobs AS {{text}}),
           'cur_step', cur_step, 'token', token, 'announced', available_at IS NULL,
           'leased', lease_until IS NOT NULL, 'waits', waiting IS NOT NULL,
           'parked', CASE WHEN EXISTS (SELECT 1 FROM {{table parked}} k WHERE k.program = id)
             THEN 1 ELSE 0 END,
           'ended', finished_at IS NOT NULL OR errored_at IS NOT NULL)
         FROM {{t}} WHERE run_id IN ({places}) ORDER BY id{lock}"
    ));
    rows(s, ids.into_iter().fold(find, Statement::text)).await
}

async fn take<S: Session>(s: &mut S, offer: &Offer, step: usize, row: &mut Found) -> Outcome<()> {
    const TAKE: &str = concat!(
        "UPDATE {t} SET ",
        origin!(),
        ", child_ordinal = CASE WHEN cur_step = ? THEN child_ordinal ELSE 0 END, cur_step = ?,
          token = token + 1, rev = rev + 1, queue = ?, job = ?, ready = 1, crashes = 0,
          lease_until = NULL, worker = NULL,
          available_at = {now_ms}, order_key = {now_ms} + priority * 60000
        WHERE id = ?"
    );
    let take = sql(TAKE)
        .int(number(step))
        .int(number(step))
        .text(offer.queue.as_str())
        .text(offer.jobs[0].as_str())
        .int(row.id);
    s.run(take).await?;
    row.token += 1;
    row.cur_step = Some(step);
    row.announced = Flag(false);
    row.leased = Flag(false);
    Ok(())
}

/// The broker has the messages of these new programs, and with them the programs: where nobody has taken
/// one meanwhile.
pub(in crate::store) async fn announced<S: Session>(s: &mut S, run_ids: &[RunId]) -> Outcome<()> {
    for run_ids in run_ids.chunks(MOST) {
        let (places, ids) = list(run_ids.iter().map(RunId::as_str).collect(), "");
        let announced = composed(format!(
            "UPDATE {{t}} SET available_at = NULL, ready = 0
             WHERE run_id IN ({places}) AND token = 0 AND available_at IS NOT NULL
               AND lease_until IS NULL AND waiting IS NULL
               AND finished_at IS NULL AND errored_at IS NULL"
        ));
        s.run(ids.into_iter().fold(announced, Statement::text))
            .await?;
    }
    Ok(())
}

/// Takes a batch of programs into the store whose messages are lost: those that are the broker's, and that
/// nothing has happened to for long. The run ids of what it took, and behind which row to go on.
pub(in crate::store) async fn adopt<S: Session>(
    s: &mut S,
    orphans: &Orphans,
    floor: i64,
) -> Outcome<Adopted> {
    let (places, queues) = list(orphans.queues.iter().map(String::as_str).collect(), "");
    // Outside `take_in`, nothing of another system's is known to be unique or under way.
    let lock = if orphans.dry_run { "" } else { "{unlocked}" };
    let find = composed(format!(
        "SELECT {{object}}('id', id, 'run_id', COALESCE(run_id, '')) FROM {{t}}{{by_key}}
         WHERE id > ? AND available_at IS NULL AND ready = 0 AND lease_until IS NULL
           AND waiting IS NULL AND finished_at IS NULL AND errored_at IS NULL
           AND {{ms updated_at}} <= {{now_ms}} - ? AND queue IN ({places})
           AND NOT EXISTS (SELECT 1 FROM {{table parked}} k WHERE k.program = id)
         ORDER BY id LIMIT ?{lock}"
    ));
    let find = find.int(floor).int(millis(orphans.older_than));
    let find = queues.into_iter().fold(find, Statement::text);
    #[derive(Deserialize)]
    struct Orphan {
        id: i64,
        run_id: String,
    }
    let found = rows::<_, Orphan>(s, find.int(number(MOST))).await?;
    let adopted = Adopted {
        floor: (found.len() == MOST).then(|| found[MOST - 1].id),
        run_ids: found.iter().map(|row| row.run_id.as_str().into()).collect(),
    };
    if !orphans.dry_run && !found.is_empty() {
        let (places, ids) = list(found.iter().map(|row| row.id).collect(), 0);
        let adopt = composed(format!(
            concat!(
                "UPDATE {{t}} SET {}, cur_step = {{step}}, job = {{job}}, token = token + 1,
                   rev = rev + 1, ready = 1, available_at = {{now_ms}},
                   order_key = {{now_ms}} + priority * 60000
                 WHERE id IN ({})"
            ),
            origin!(),
            places
        ));
        s.run(ids.into_iter().fold(adopt, |adopt, id| adopt.int(id)))
            .await?;
    }
    Ok(adopted)
}
