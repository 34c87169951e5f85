//! Programs that wait for the end of one that they have started.
//!
//! The commit that ends the attempt stores the child and a row in a narrow table: who waits, under
//! which claim, and for whom. That row is the truth: whoever looks at it finds out by the child's own row
//! whether the wait is over, also when the child was stopped by hand, deleted, or ended before anybody
//! looked. It goes in the transaction that lets the parent go on. A row whose parent waits no longer
//! under that claim means nothing, and is cleared away.
//!
//! Programs that wait for nobody have no row here, and no statement of theirs looks for one.

use serde::Deserialize;

use super::{
    Flag, Outcome, Session,
    control::take_away,
    filter::places,
    history, number, report, rows,
    statement::{composed, sql},
};
use crate::{
    job::{Registry, data_key},
    json,
    run_id::RunId,
    store::{Failure, Fence, NewProgram, Resumed, StepWrite, Waits, Written},
};

/// Rows of a page.
const PAGE: usize = 1000;

/// Programs that go on in one transaction at most.
const MOST: usize = 200;

/// The child that is to be stored with this write, and waited for: not where the write was not applied,
/// nor where a report has come before it, nor where it was applied before.
pub(in crate::store) async fn to_start<'w, S: Session>(
    s: &mut S,
    write: &'w StepWrite,
    written: Option<&Written>,
) -> Outcome<Option<&'w NewProgram>> {
    const BEGINS: &str = "
        SELECT CAST(id AS {text}) FROM {t} WHERE id = ? AND token = ? AND waiting = 'child'
          AND NOT EXISTS (SELECT 1 FROM {table waits} WHERE program = ? AND claim = ?)";
    let (Some(child), Some(Written::Committed)) = (write.awaits(), written) else {
        return Ok(None);
    };
    let Fence { id, token, .. } = write.fence;
    let begins = sql(BEGINS).int(id).int(token).int(id).int(token);
    Ok((!s.texts(begins).await?.is_empty()).then_some(child))
}

/// Notes that the program waits for the end of this one.
pub(in crate::store) async fn begin<S: Session>(
    s: &mut S,
    fence: Fence,
    child: &RunId,
) -> Outcome<()> {
    const BEGIN: &str = "INSERT INTO {table waits} (program, claim, child) VALUES (?, ?, ?)";
    let begin = sql(BEGIN).int(fence.id).int(fence.token);
    s.run(begin.text(child.as_str())).await?;
    Ok(())
}

/// Waits that are over, or mean nothing any more.
#[derive(Default)]
pub(in crate::store) struct Looked {
    pub(in crate::store) over: Vec<Wait>,
    pub(in crate::store) next: Option<i64>,
}

#[derive(Deserialize)]
pub(in crate::store) struct Wait {
    program: i64,
    claim: i64,
    child: String,
    #[serde(default)]
    over: Flag,
}

// Written so that no partial index of unfinished programs comes into question beside the keys.
macro_rules! wait {
    () => {
        "SELECT {object}('program', w.program, 'claim', w.claim, 'child', w.child, 'over',
           NOT EXISTS (SELECT 1 FROM {t} c WHERE c.run_id = w.child
             AND COALESCE(c.finished_at, c.errored_at) IS NULL)
           OR NOT EXISTS (SELECT 1 FROM {t} p WHERE p.id = w.program AND p.token = w.claim
             AND p.waiting = 'child' AND COALESCE(p.finished_at, p.errored_at) IS NULL))
         FROM {table waits} w WHERE "
    };
}

/// Looks, and locks nothing.
pub(in crate::store) async fn look<S: Session>(s: &mut S, waits: &Waits) -> Outcome<Looked> {
    const WAIT: &str = wait!();
    const FROM: &str = concat!(
        wait!(),
        "w.program >= ? ORDER BY w.program, w.claim LIMIT ?"
    );
    let (found, mut next) = match waits {
        Waits::From(from) => {
            let page = sql(FROM).int(*from).int(number(PAGE));
            let page = rows::<_, Wait>(s, page).await?;
            let full = page.len() == PAGE;
            let next = page.last().filter(|_| full).map(|wait| wait.program);
            (page, next)
        }
        Waits::For(children) => {
            let Some(last) = children.last() else {
                return Ok(Looked::default());
            };
            let places = places(children.len());
            let padding = std::iter::repeat_n(last, places.len() - children.len());
            let statement = composed(format!(
                "{WAIT}w.child IN ({}) ORDER BY w.program, w.claim",
                places.join(", ")
            ));
            let children = children.iter().chain(padding);
            let found = children.fold(statement, |found, child| found.text(child.as_str()));
            (rows::<_, Wait>(s, found).await?, None)
        }
    };
    let mut over: Vec<_> = found.into_iter().filter(|wait| wait.over.0).collect();
    if let Some(beyond) = over.get(MOST) {
        next = Some(beyond.program);
        over.truncate(MOST);
    }
    Ok(Looked { over, next })
}

/// Lets those go on whose wait is over, and whom nobody holds.
pub(in crate::store) async fn settle<S: Session>(
    s: &mut S,
    waits: &[Wait],
) -> Outcome<Vec<Resumed>> {
    let mut resumed = Vec::new();
    for wait in waits {
        resumed.extend(settle_one(s, wait).await?);
    }
    Ok(resumed)
}

/// A program has ended, or was deleted, by a verb of ours: who waits for it goes on with that. Whether
/// nobody waits for it any more.
pub(super) async fn child_ended<S: Session>(s: &mut S, child: &RunId) -> Outcome<bool> {
    if !child.is_awaited() {
        return Ok(true);
    }
    let children = Waits::For(vec![child.clone()]);
    let looked = look(s, &children).await?;
    settle(s, &looked.over).await?;
    Ok(look(s, &children).await?.over.is_empty())
}

/// A program that waits, as its continuation needs it.
#[derive(Deserialize)]
struct Parent {
    run_id: String,
    step: usize,
    retried: u32,
    jobs: String,
    outputs: String,
}

macro_rules! parent {
    ($lock:literal) => {
        concat!(
            "SELECT {object}('run_id', COALESCE(run_id, ''), 'step', {step},
               'retried', COALESCE(step_retry_count, 0), 'jobs', CAST(jobs AS {text}),
               'outputs', CAST(outputs AS {text}))
             FROM {t} WHERE id = ? AND token = ? AND waiting = 'child'
               AND COALESCE(finished_at, errored_at) IS NULL",
            $lock
        )
    };
}

async fn settle_one<S: Session>(s: &mut S, wait: &Wait) -> Outcome<Option<Resumed>> {
    const TAKE: &str = "
        SELECT child FROM {table waits} WHERE program = ? AND claim = ?{unlocked}";
    const FORGET: &str = "DELETE FROM {table waits} WHERE program = ? AND claim = ?";
    let this = |template| sql(template).int(wait.program).int(wait.claim);
    if s.texts(this(TAKE)).await?.is_empty() {
        // Another one is at it, or has done it.
        return Ok(None);
    }
    let parent = rows::<_, Parent>(s, this(parent!("{unlocked}"))).await?;
    let Some(parent) = parent.into_iter().next() else {
        let held = !rows::<_, Parent>(s, this(parent!(""))).await?.is_empty();
        if !held {
            s.run(this(FORGET)).await?;
        }
        return Ok(None);
    };
    let Some(outcome) = outcome(s, &wait.child).await? else {
        // It was retried a moment ago.
        return Ok(None);
    };
    let resumed = resume(s, wait.program, &parent, outcome).await?;
    s.run(this(FORGET)).await?;
    Ok(Some(resumed))
}

/// What the child came to: the last job's output, or why there is none. `None`: it has not ended.
async fn outcome<S: Session>(s: &mut S, child: &str) -> Outcome<Option<Result<String, String>>> {
    const CHILD: &str = "
        SELECT {object}('errored', errored_at IS NOT NULL, 'finished', finished_at IS NOT NULL,
          'error', CAST(error_message AS {text}), 'jobs', CAST(jobs AS {text}),
          'outputs', CAST(outputs AS {text}))
        FROM {t} WHERE run_id = ? ORDER BY id LIMIT 1";
    #[derive(Deserialize)]
    struct Child {
        errored: Flag,
        finished: Flag,
        error: Option<String>,
        jobs: String,
        outputs: Option<String>,
    }
    let found = rows::<_, Child>(s, sql(CHILD).text(child)).await?;
    let failed = |what: String| {
        Some(Err(format!(
            "the program {child} that it waited for {what}"
        )))
    };
    Ok(match found.into_iter().next() {
        None => failed("was deleted".to_owned()),
        Some(row) if row.errored.0 => failed(match row.error {
            Some(error) if !error.is_empty() => format!("has errored: {error}"),
            _ => "has errored".to_owned(),
        }),
        Some(row) if row.finished.0 => match last_output(&row.jobs, row.outputs.as_deref()) {
            Ok(output) => Some(Ok(output)),
            Err(e) => failed(format!("has outputs that can't be read: {e}")),
        },
        Some(_) => None,
    })
}

fn last_output(jobs: &str, outputs: Option<&str>) -> Result<String, json::DataError> {
    let jobs: Vec<String> = json::read(jobs)?;
    let outputs = json::read_map(outputs.unwrap_or("{}"))?;
    let last = jobs.len().checked_sub(1).map(|last| data_key(&jobs, last));
    let output = last.and_then(|key| outputs.get(&key));
    Ok(output.map_or("null", |raw| raw.get()).to_owned())
}

/// The parent's step is done with this output, or has failed for this reason.
async fn resume<S: Session>(
    s: &mut S,
    id: i64,
    parent: &Parent,
    outcome: Result<String, String>,
) -> Outcome<Resumed> {
    const FAIL: &str = concat!(
        "UPDATE {t} SET errored_at = {now}, error_message = ?, errors = {history}, waiting = NULL,
          completion = NULL, ",
        take_away!(),
        ", updated_at = {now} WHERE id = ?"
    );
    // What somebody has spoilt by hand is an error of that program alone.
    let jobs = json::read::<Vec<String>>(&parent.jobs).unwrap_or_default();
    let job = jobs.get(parent.step).cloned().unwrap_or_default();
    let next = jobs.get(parent.step + 1).map(String::as_str);
    let outcome = outcome.and_then(|output| match json::read_map(&parent.outputs) {
        _ if job.is_empty() => Err("its list of jobs can't be read".to_owned()),
        Err(e) => Err(format!("its outputs can't be read: {e}")),
        Ok(_) => fits(&job, output),
    });
    let failure = match outcome {
        Ok(output) => {
            let key = data_key(&jobs, parent.step);
            report::step_done(s, id, &key, next, &parent.outputs, &output).await?;
            None
        }
        Err(message) => {
            let failure = Failure {
                step: parent.step,
                job: job.clone(),
                attempt: parent.retried.saturating_add(1),
                message,
            };
            let fail = sql(FAIL).text(&failure.message);
            s.run(fail.text(history::entry(&failure)).int(id)).await?;
            Some(failure.message)
        }
    };
    Ok(Resumed {
        run_id: parent.run_id.as_str().into(),
        step: parent.step,
        job,
        attempt: parent.retried.saturating_add(1),
        failure,
        last: next.is_none(),
    })
}

/// A wrong output would be found by the jobs after it only, when nobody can mend it any more. Where this
/// binary does not know the job, they have to.
fn fits(job: &str, output: String) -> Result<String, String> {
    let definition = Registry::global().ok().and_then(|all| all.get(job));
    match definition.map(|definition| (definition.check_output)(&output)) {
        Some(Err(e)) => Err(format!(
            "what the program that it waited for has returned is not what the job {job:?} returns: {e}"
        )),
        _ => Ok(output),
    }
}
