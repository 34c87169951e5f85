//! One program under a claim: its jobs one after the other, each step durable before the next.

use std::{sync::Arc, time::Instant};

use tracing::Instrument;

use super::{
    Shared, body,
    decide::{self, At, Decision, Onward, Tell},
    interop::{hand_over, policy},
    places::Place,
    record::Record,
    running::Lease,
    slots::Load,
    tell::{Whose, tell},
    tx,
};
use crate::{
    config::UnknownJob,
    error::BoxError,
    event::Event,
    job::{
        Attempt, AttemptParts, CatchPanic, Changing, Encoded, JobDefinition, Journal,
        ProgramMemory, Reason, TxConn,
    },
    json,
    retry::RetryPolicy,
    run_id::RunId,
    store::{Change, ClaimedProgram, Failure, Written},
};

/// Runs a claimed program until its claim ends. `room`: the job with a limit in which the claim has
/// taken room for it.
pub(super) async fn run(
    worker: Arc<Shared>,
    mut claimed: ClaimedProgram,
    lease: Arc<Lease>,
    load: Load,
    room: Option<&'static str>,
) {
    let place = claimed.hold.take().map(|hold| worker.places.take(hold));
    let mut takes = Takes {
        worker,
        lease,
        load,
        room: Room { job: room, place },
        freed: false,
    };
    let worker = Arc::clone(&takes.worker);
    let run_id = claimed.run_id.clone();
    takes.freed = match open(&worker, claimed, &takes.lease, load) {
        Ok(mut program) => {
            // What a job has returned runs code of its own once more, when it is shown or dropped.
            let ran =
                CatchPanic::new(Box::pin(steps(&worker, &mut program, &mut takes.room))).await;
            match ran {
                Ok(freed) => freed,
                Err(panic) => panicked(&worker, &program, panic).await,
            }
        }
        Err((unreadable, program)) => {
            let failure = Failure {
                step: 0,
                job: String::new(),
                attempt: 1,
                message: unreadable.clone(),
            };
            let whose = Whose {
                run_id: &program.run_id,
                step: 0,
                job: "",
                attempt: 1,
                memory: None,
            };
            let written = program.record.write(Change::Fail { failure }).await;
            if written == Written::Committed {
                tell(&worker, &whose, &Tell::Error(unreadable));
            }
            written == Written::Committed
        }
    };
    worker.awaited.tell(&run_id);
}

/// What a program takes up of its current job's limits.
struct Room {
    /// The job whose room in this worker it has.
    job: Option<&'static str>,
    /// Its place under a limit over all workers.
    place: Option<Place>,
}

/// What a program takes up of its worker; given back however its task ends.
struct Takes {
    worker: Arc<Shared>,
    lease: Arc<Lease>,
    load: Load,
    room: Room,
    /// Whether the committer has freed the slot.
    freed: bool,
}

impl Drop for Takes {
    fn drop(&mut self) {
        self.worker.running.remove(self.lease.held);
        if let Some(job) = self.room.job {
            self.worker.slots.leave(job);
        }
        if !self.freed {
            self.worker.slots.release(&[self.load]);
        }
    }
}

/// A program in this worker's hands.
struct Program {
    run_id: RunId,
    record: Arc<Record>,
    lease: Arc<Lease>,
    step: usize,
    retried: u32,
}

/// The claimed row as memory; what cannot be read is an error of that program alone.
#[allow(clippy::result_large_err)] // the way of a spoilt row, once in its life
fn open(
    worker: &Arc<Shared>,
    claimed: ClaimedProgram,
    lease: &Arc<Lease>,
    load: Load,
) -> Result<Program, (String, Program)> {
    let jobs = json::read::<Vec<Box<str>>>(&claimed.jobs);
    let job_data = json::read_map(&claimed.job_data);
    let outputs = json::read_map(&claimed.outputs);
    let mut unreadable = None;
    let mut part = |name: &str, error: &json::DataError| {
        unreadable.get_or_insert_with(|| format!("its {name} can't be read: {error}"));
    };
    let jobs = jobs.unwrap_or_else(|e| {
        part("list of jobs", &e);
        Vec::new()
    });
    let changing = Changing {
        job_data: job_data.unwrap_or_else(|e| {
            part("job data", &e);
            json::RawMap::new()
        }),
        outputs: outputs.unwrap_or_else(|e| {
            part("outputs", &e);
            json::RawMap::new()
        }),
        children: Vec::new(),
        ordinal: claimed.ordinal,
        unsaved: false,
    };
    let memory = ProgramMemory::new(jobs, claimed.program_data.into(), changing);
    let memory = Arc::new(memory.with_shared_keys(claimed.shared_keys));
    let record = Record::new(
        claimed.fence,
        worker.commits.clone(),
        worker.config.lease,
        load,
        claimed.run_id.clone(),
        memory,
    );
    let jobs = record.memory.jobs.len();
    if unreadable.is_none() && claimed.step >= jobs {
        unreadable = Some(format!(
            "its step is {}, and it has {jobs} jobs",
            claimed.step
        ));
    }
    let program = Program {
        run_id: claimed.run_id,
        record,
        lease: Arc::clone(lease),
        step: claimed.step,
        retried: claimed.retry_count,
    };
    match unreadable {
        Some(text) => Err((text, program)),
        None => Ok(program),
    }
}

/// Runs steps while the claim goes on; whether the committer has freed the slot.
///
/// `room` is what this program has of its job's room: taken by the claim for the first, and then for
/// each next job before the step that leads to it is recorded.
async fn steps(worker: &Arc<Shared>, program: &mut Program, room: &mut Room) -> bool {
    let memory = Arc::clone(&program.record.memory);
    let jobs = &memory.jobs;
    loop {
        let job = &*jobs[program.step];
        let next = jobs.get(program.step + 1).map(|job| &**job);
        let definition = worker.registry.get(job);
        let key = memory.key(program.step);
        let at = At {
            step: program.step,
            job,
            next,
            retried: program.retried,
            policy: policy(worker, definition),
            key: &key,
            again: worker.again(),
        };
        let (result, tx) = attempt(worker, program, definition, &at).await;
        room.place = None;
        if let Some(job) = room.job.take() {
            worker.slots.leave(job);
        }
        let Decision { change, tell: news } = match result {
            Attempted::Succeeded(outputs) => {
                let onward = next.map(|next| onward(worker, next, &mut room.job));
                decide::succeeded(&at, outputs, onward.unwrap_or(Onward::Keep))
            }
            Attempted::Decided(decision) => decision,
            Attempted::LeaseLost => {
                // Nothing of it counts; but whoever took the program away may wait for its end.
                program.record.write(Change::GiveBack).await;
                return false;
            }
        };
        let whose = whose(program, &at);
        let change = worker.given_back(change);
        let goes_on = matches!(change, Change::Advance { .. });
        let hands_over = match change {
            Change::AdvanceAndHandOver { .. } => Some(program.step + 1),
            Change::HandOver => Some(program.step),
            _ => None,
        };
        let in_tx = tx.is_some();
        let written = match tx {
            None => program.record.write(change).await,
            Some(tx) => match program.record.write_in(worker, tx, change).await {
                Ok(written) => written,
                // Nothing of it was committed.
                Err(error) => {
                    let again = decide::ended(
                        &at,
                        Reason::Retry {
                            error: BoxError::from(error.to_string()),
                            after: None,
                        },
                    );
                    return match again {
                        Some(decision) => end(worker, program, &at, decision).await,
                        None => false,
                    };
                }
            },
        };
        if matches!(written, Written::Committed | Written::Released) {
            tell(worker, &whose, &news);
        }
        match written {
            Written::Committed if goes_on => {}
            Written::Committed if let Some(step) = hands_over => {
                return hand_over(worker, &program.record, &program.run_id, step).await;
            }
            Written::Committed => {
                if next.is_none() && news == Tell::Done {
                    worker.events.raise(|| Event::Finished {
                        run_id: program.run_id.clone(),
                    });
                }
                // A job's own transaction went past the committer, who frees slots.
                return !in_tx;
            }
            Written::Released => return false,
            written @ (Written::Stopped | Written::LeaseLost) => {
                tracing::debug!(run_id = %program.run_id, ?written, "the claim has ended");
                return false;
            }
            Written::Refused(why) => {
                let refused = decide::failed(&at, format!("could not be stored: {why}"));
                return end(worker, program, &at, refused).await;
            }
        }
        program.step += 1;
        program.retried = 0;
        memory.changing().ordinal = 0;
    }
}

fn whose<'a>(program: &'a Program, at: &At<'a>) -> Whose<'a> {
    Whose {
        run_id: &program.run_id,
        step: at.step,
        job: at.job,
        attempt: at.retried + 1,
        memory: Some(&program.record.memory),
    }
}

/// Records an arrow that ends the claim; whether that freed the slot.
async fn end(worker: &Shared, program: &Program, at: &At<'_>, decision: Decision) -> bool {
    let written = program.record.write(decision.change).await;
    if written == Written::Committed {
        tell(worker, &whose(program, at), &decision.tell);
    }
    written == Written::Committed
}

/// The end of a program whose job has panicked outside of its body; whether that freed the slot.
async fn panicked(worker: &Shared, program: &Program, panic: String) -> bool {
    let job = &*program.record.memory.jobs[program.step];
    let at = At {
        step: program.step,
        job,
        next: None,
        retried: program.retried,
        policy: RetryPolicy::default(),
        key: job,
        again: worker.again(),
    };
    match decide::ended(&at, Reason::Panicked(panic)) {
        Some(decision) => end(worker, program, &at, decision).await,
        None => false,
    }
}

/// Whether the next job may run under the same claim (SEMANTICS §4.3); then its room is taken.
fn onward(worker: &Shared, next: &str, room: &mut Option<&'static str>) -> Onward {
    let elsewhere = match worker.broker.is_shared() {
        true => Onward::HandOver,
        false => Onward::Release,
    };
    if worker.stopping.is_cancelled() {
        return elsewhere;
    }
    match worker.registry.get(next) {
        // Whether it may start, only the store can tell.
        Some(job) if job.options.global_limit().is_some() => Onward::Release,
        Some(job) if worker.slots.enter(next) => {
            *room = Some(job.name);
            Onward::Keep
        }
        Some(_) => Onward::Release,
        None if worker.config.unknown_job == UnknownJob::Wait => elsewhere,
        None => Onward::Keep,
    }
}

/// What an attempt came to.
enum Attempted {
    /// The body returned; the program's outputs where it adds something to them.
    Succeeded(Option<String>),
    Decided(Decision),
    LeaseLost,
}

/// Runs the current job once.
async fn attempt(
    worker: &Arc<Shared>,
    program: &Program,
    definition: Option<&'static JobDefinition>,
    at: &At<'_>,
) -> (Attempted, Option<Box<dyn TxConn>>) {
    let Some(definition) = definition else {
        return (unknown(worker, program, at), None);
    };
    // Nothing new starts under a lease that may have ended, nor when the worker is stopping.
    if program.lease.until() <= Instant::now() || worker.stopping.is_cancelled() {
        let give_back = Decision {
            change: Change::GiveBack,
            tell: Tell::Nothing,
        };
        return (Attempted::Decided(give_back), None);
    }
    let tx = tx::slot(worker, definition);
    worker.events.raise(|| Event::Started {
        run_id: program.run_id.clone(),
        step: at.step,
        job: at.job.to_owned(),
        attempt: at.retried + 1,
    });
    let attempt = Attempt::new(AttemptParts {
        job: definition.name,
        run_id: program.run_id.clone(),
        step: program.step,
        number: at.retried + 1,
        token: program.lease.held.token,
        started: Instant::now(),
        memory: Arc::clone(&program.record.memory),
        cancellation: program.lease.begin_body(),
        states: Arc::clone(&worker.states),
        journal: Arc::new(Arc::clone(&program.record)),
        tx: tx.clone(),
    });
    let span = tracing::info_span!("job", run_id = %program.run_id, job = at.job, step = at.step);
    let result = body::run(
        definition,
        attempt,
        &program.lease,
        worker.config.cancel_grace,
        worker.store.tx_limit(worker.config.lease),
    )
    .instrument(span)
    .await;
    let tx = tx.and_then(|tx| tx.take());
    match result {
        Ok(output) => {
            // What a job with a transaction has saved, and has not begun one for.
            if tx.is_none() && std::mem::take(&mut program.record.memory.changing().unsaved) {
                let _ = Arc::clone(&program.record).save().await;
            }
            (Attempted::Succeeded(outputs(program, at, output)), tx)
        }
        // Of its transaction nothing stays: the connection is closed here.
        Err(reason) => {
            let decided = decide::ended(at, reason);
            (
                decided.map_or(Attempted::LeaseLost, Attempted::Decided),
                None,
            )
        }
    }
}

/// The program's outputs with this one, where it adds something.
fn outputs(program: &Program, at: &At<'_>, output: Encoded) -> Option<String> {
    let output = output.0?;
    let mut changing = program.record.memory.changing();
    changing.outputs.insert(at.key.to_owned(), output);
    Some(json::map_text(&changing.outputs))
}

/// What becomes of a program at a job that this binary does not have.
fn unknown(worker: &Shared, program: &Program, at: &At<'_>) -> Attempted {
    if worker.config.unknown_job == UnknownJob::Skip {
        tracing::warn!(run_id = %program.run_id, job = at.job, "skipping a job that this worker lacks");
        return Attempted::Succeeded(None);
    }
    if worker.broker.is_shared() && worker.config.unknown_job == UnknownJob::Wait {
        return Attempted::Decided(Decision {
            change: Change::HandOver,
            tell: Tell::Nothing,
        });
    }
    let message = format!("no job is named {:?} in this worker", at.job);
    Attempted::Decided(decide::failed(at, message))
}
