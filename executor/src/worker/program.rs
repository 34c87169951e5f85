//! One program under a claim: its jobs one after the other, each step durable before the next.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::Instrument;

use super::{
    Shared, body,
    committer::Pending,
    decide::{self, At, Decision, Tell},
    running::Lease,
    slots::Load,
};
use crate::{
    config::UnknownJob,
    event::Event,
    job::{
        Attempt, AttemptParts, CatchPanic, Changing, Encoded, JobDefinition, JobError, Journal, ProgramMemory,
        Reason, data_key,
    },
    json,
    retry::RetryPolicy,
    run_id::RunId,
    store::{Change, ClaimedProgram, Failure, Fence, NewProgram, StepWrite, Written},
};

/// Runs a claimed program until its claim ends, and frees what it took up.
pub(super) async fn run(worker: Arc<Shared>, claimed: ClaimedProgram, lease: Arc<Lease>, load: Load) {
    let held = lease.held;
    let mut entered = None;
    let run_id = claimed.run_id.clone();
    let freed = match open(&worker, claimed, &lease, load) {
        Ok(mut program) => {
            // What a job has returned runs code of its own once more, when it is shown or dropped.
            let ran = CatchPanic::new(Box::pin(steps(&worker, &mut program, &mut entered))).await;
            match ran {
                Ok(freed) => freed,
                Err(panic) => panicked(&worker, &program, panic).await,
            }
        }
        Err((unreadable, record)) => {
            let failure =
                Failure { step: 0, job: String::new(), attempt: 1, message: unreadable.clone() };
            tell(&worker, &run_id, 0, "", 1, &Tell::Error(unreadable));
            record.write(Change::Fail { failure }, Vec::new(), 0).await == Written::Committed
        }
    };
    worker.running.remove(held);
    if let Some(job) = entered {
        worker.slots.leave(job);
    }
    if !freed {
        worker.slots.release(&[load]);
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
) -> Result<Program, (String, Arc<Record>)> {
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
    };
    let memory = Arc::new(ProgramMemory::new(jobs, claimed.program_data.into(), changing));
    let record = Arc::new(Record {
        fence: Mutex::new(claimed.fence),
        commits: worker.commits.clone(),
        lease: worker.config.lease,
        load,
        run_id: claimed.run_id.clone(),
        memory,
    });
    if unreadable.is_none() && claimed.step >= record.memory.jobs.len() {
        unreadable = Some(format!(
            "its step is {}, and it has {} jobs",
            claimed.step,
            record.memory.jobs.len()
        ));
    }
    match unreadable {
        Some(text) => Err((text, record)),
        None => Ok(Program {
            run_id: claimed.run_id,
            record,
            lease: Arc::clone(lease),
            step: claimed.step,
            retried: claimed.retry_count,
        }),
    }
}

/// Runs steps while the claim goes on; whether the committer has freed the slot.
///
/// `entered` is the job whose room this program has: taken by the claim for the first, and then
/// for each next job before the step that leads to it is recorded.
async fn steps(
    worker: &Arc<Shared>,
    program: &mut Program,
    entered: &mut Option<&'static str>,
) -> bool {
    let memory = Arc::clone(&program.record.memory);
    let jobs = &memory.jobs;
    *entered = worker.registry.get(&jobs[program.step]).map(|job| job.name);
    loop {
        let job = &*jobs[program.step];
        let next = jobs.get(program.step + 1).map(|job| &**job);
        let definition = worker.registry.get(job);
        let key = data_key(jobs, program.step);
        let at = At {
            step: program.step,
            job,
            next,
            retried: program.retried,
            policy: definition.map_or(RetryPolicy::default(), |job| job.options.retry()),
            key: &key,
        };
        let result = attempt(worker, program, definition, &at).await;
        if let Some(job) = entered.take() {
            worker.slots.leave(job);
        }
        let decision = match result {
            Attempted::Succeeded(outputs) => {
                let goes_on = next.is_some_and(|next| goes_on(worker, next, entered));
                decide::succeeded(&at, outputs, goes_on)
            }
            Attempted::Decided(decision) => decision,
            Attempted::LeaseLost => return false,
        };
        tell(worker, &program.run_id, at.step, job, at.retried + 1, &decision.tell);
        let done = decision.tell == Tell::Done;
        let goes_on = matches!(decision.change, Change::Advance { .. });
        let written = record(program, decision).await;
        if done && matches!(written, Written::Committed | Written::Released) {
            worker.events.raise(|| Event::StepDone {
                run_id: program.run_id.clone(),
                step: at.step,
                job: job.to_owned(),
            });
        }
        match written {
            Written::Committed if done => {}
            Written::Committed => return true,
            Written::Released => return false,
            written @ (Written::Stopped | Written::LeaseLost) => {
                tracing::debug!(run_id = %program.run_id, ?written, "the claim has ended");
                return false;
            }
            Written::Refused(why) => {
                let refused = decide::failed(&at, format!("could not be stored: {why}"));
                tell(worker, &program.run_id, at.step, job, at.retried + 1, &refused.tell);
                return record(program, refused).await == Written::Committed;
            }
        }
        if next.is_none() {
            worker.events.raise(|| Event::Finished { run_id: program.run_id.clone() });
        }
        if !goes_on {
            return true;
        }
        program.step += 1;
        program.retried = 0;
        memory.changing().ordinal = 0;
    }
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
    };
    let Some(decision) = decide::ended(&at, Reason::Panicked(panic)) else { return false };
    tell(worker, &program.run_id, at.step, job, at.retried + 1, &decision.tell);
    record(program, decision).await == Written::Committed
}

/// Whether the next job may run under the same claim (SEMANTICS §4.3); then its room is taken.
fn goes_on(worker: &Shared, next: &str, entered: &mut Option<&'static str>) -> bool {
    if worker.stopping.is_cancelled() {
        return false;
    }
    match worker.registry.get(next) {
        Some(job) if worker.slots.enter(next) => {
            *entered = Some(job.name);
            true
        }
        Some(_) => false,
        None => worker.config.unknown_job != UnknownJob::Wait,
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
) -> Attempted {
    let Some(definition) = definition else {
        return unknown(worker, program, at);
    };
    // Nothing new starts under a lease that may have ended.
    if program.lease.until() <= Instant::now() {
        return Attempted::Decided(Decision { change: Change::GiveBack, tell: Tell::Nothing });
    }
    worker.events.raise(|| Event::Started {
        run_id: program.run_id.clone(),
        step: at.step,
        job: at.job.to_owned(),
        attempt: at.retried + 1,
    });
    let attempt = Attempt::new(AttemptParts {
        definition,
        run_id: program.run_id.clone(),
        step: program.step,
        number: at.retried + 1,
        token: program.lease.held.token,
        started: Instant::now(),
        memory: Arc::clone(&program.record.memory),
        cancellation: program.lease.begin_body(),
        states: Arc::clone(&worker.states),
        journal: Arc::new(Arc::clone(&program.record)),
    });
    let span = tracing::info_span!("job", run_id = %program.run_id, job = at.job, step = at.step);
    let result = body::run(definition, attempt, &program.lease, worker.config.cancel_grace)
        .instrument(span)
        .await;
    match result {
        Ok(output) => Attempted::Succeeded(outputs(program, at, output)),
        Err(reason) => decide::ended(at, reason).map_or(Attempted::LeaseLost, Attempted::Decided),
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
    let message = format!("no job is named {:?} in this worker", at.job);
    Attempted::Decided(decide::failed(at, message))
}

/// Writes a decision, with the programs that the body has started.
async fn record(program: &Program, decision: Decision) -> Written {
    let (children, ordinal) = program.record.buffered();
    program.record.write(decision.change, children, ordinal).await
}

/// Tells people what the attempt came to; the texts are those of program-executor.
fn tell(worker: &Shared, run_id: &RunId, step: usize, job: &str, attempt: u32, tell: &Tell) {
    match tell {
        Tell::Nothing | Tell::Done => {}
        Tell::Retry { message, after } => {
            tracing::warn!(
                %run_id, job, step, attempt, error_message = %message, retry_after = ?after,
                "Consumer error retry"
            );
            worker.events.raise(|| Event::Retrying {
                run_id: run_id.clone(),
                step,
                job: job.to_owned(),
                attempt,
                error: message.clone(),
                after: *after,
            });
        }
        Tell::Error(message) => {
            tracing::error!(
                %run_id, job, step, attempt, error_message = %message, "Consumer error finish"
            );
            worker.events.raise(|| Event::Errored {
                run_id: run_id.clone(),
                step,
                job: job.to_owned(),
                error: message.clone(),
            });
        }
        Tell::Quiet(message) => {
            tracing::debug!(
                %run_id, job, step, attempt, error_message = %message, "Consumer error finish"
            );
        }
    }
}

/// The program's writes, in order: each waits for the one before it.
struct Record {
    fence: Mutex<Fence>,
    commits: mpsc::Sender<Pending>,
    lease: Duration,
    load: Load,
    run_id: RunId,
    memory: Arc<ProgramMemory>,
}

impl Record {
    async fn write(&self, change: Change, children: Vec<NewProgram>, ordinal: u32) -> Written {
        let mut fence = self.fence.lock().await;
        let (answer, answered) = oneshot::channel();
        let write = StepWrite { fence: *fence, change, children, ordinal, lease: self.lease };
        let pending = Pending { write, answer, load: self.load };
        // The committer outlives all programs; if it is gone, the process is ending.
        if self.commits.send(pending).await.is_err() {
            return Written::LeaseLost;
        }
        let written = answered.await.unwrap_or(Written::LeaseLost);
        if matches!(written, Written::Committed | Written::Stopped) {
            fence.rev += 1;
        }
        written
    }

    /// The started programs that are not stored yet, and how many the step has started.
    fn buffered(&self) -> (Vec<NewProgram>, u32) {
        let mut changing = self.memory.changing();
        let children = std::mem::take(&mut changing.children);
        let children = children.into_iter().map(|(run_id, program)| NewProgram {
            run_id,
            program,
            parent: Some(self.run_id.clone()),
        });
        (children.collect(), changing.ordinal)
    }
}

/// Saved progress: written in a task of its own, so that a body which is dropped while it waits
/// leaves no write half done, and the next write still comes after it.
impl Journal for Arc<Record> {
    fn save(&self) -> Pin<Box<dyn Future<Output = Result<(), JobError>> + Send + '_>> {
        let record = Arc::clone(self);
        Box::pin(async move {
            let job_data = json::map_text(&record.memory.changing().job_data);
            let (children, ordinal) = record.buffered();
            let saving = tokio::spawn(async move {
                record.write(Change::Save { job_data }, children, ordinal).await
            });
            match saving.await {
                Ok(Written::Committed | Written::Released) => Ok(()),
                Ok(Written::Stopped) => Err(JobError::new(Reason::Cancelled)),
                Ok(Written::LeaseLost) => Err(JobError::new(Reason::LeaseLost)),
                Ok(Written::Refused(why)) => {
                    Err(JobError::fatal(format!("could not be stored: {why}")))
                }
                Err(error) => Err(JobError::new(Reason::Store(error.into()))),
            }
        })
    }
}
