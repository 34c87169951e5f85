//! A store that is compared with the model: does to it what an operation says.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    operation::{
        About, Answer, Arrow, Claim, Failed, MAX_CRASHES, New, Operation, Start, Taken, Ticket,
        Time, Write,
    },
    plan::QUEUES,
    view::Shown,
};
use crate::{
    HandOffToken, Result, RunId,
    config::Share,
    program::{self, Checked, Options},
    store::{
        Afterwards, Bulk, Change, ClaimRequest, ClaimedProgram, Ended, Failure, Fence, Filter,
        Held, Killed, KnownJobs, NewProgram, StepWrite, Store, Target, WorkerId, WorkerRecord,
        Written,
    },
};

pub(super) struct Subject {
    pub(super) store: Arc<dyn Store>,
    /// What the store calls a claim, and the model's count of writes when it was made.
    claims: HashMap<(RunId, i64), (Fence, i64)>,
    /// The fences of the last claim, in its order.
    taken: Vec<Fence>,
    was_full: bool,
}

impl Subject {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            claims: HashMap::new(),
            taken: Vec::new(),
            // Of the sequence before nothing is known.
            was_full: true,
        }
    }

    pub(super) async fn apply(&mut self, operation: &Operation) -> Answer {
        let answer = self.answer(operation).await;
        answer.unwrap_or_else(|error| Answer::Refused(error.kind(), error.to_string()))
    }

    /// What the programs of the last claim are called from now on.
    pub(super) fn call(&mut self, tickets: &[Ticket]) {
        for (ticket, fence) in tickets.iter().zip(std::mem::take(&mut self.taken)) {
            let name = (ticket.run_id.clone(), ticket.token);
            self.claims.insert(name, (fence, ticket.rev));
        }
    }

    fn fence(&self, ticket: &Ticket) -> Fence {
        let (fence, rev) = self.claims[&(ticket.run_id.clone(), ticket.token)];
        Fence {
            rev: fence.rev + ticket.rev - rev,
            ..fence
        }
    }

    fn held(&self, tickets: &[Ticket]) -> Vec<Held> {
        let held = tickets.iter().map(|ticket| self.fence(ticket));
        held.map(|Fence { id, token, .. }| Held { id, token })
            .collect()
    }

    async fn answer(&mut self, operation: &Operation) -> Result<Answer> {
        let store = Arc::clone(&self.store);
        let done = match operation {
            Operation::Create(programs) => {
                let created = store.create(programs.iter().map(New::program).collect());
                let created = created.await?.into_iter();
                let created = created.map(|one| one.map(|one| (one.run_id, one.existed)));
                return Ok(Answer::Created(created.collect::<Result<_>>()?));
            }
            Operation::Claim(claim) => return self.claim(claim).await,
            Operation::Commit(writes) => {
                let writes = writes.iter().map(|write| self.step_write(write)).collect();
                let written = store.commit(Arc::new(writes)).await?.into_iter();
                let written = written.map(|one| one.expect("nobody holds a row locked"));
                return Ok(Answer::Written(written.collect()));
            }
            Operation::CommitIn { created, writes } => {
                let mut tx = store.begin().await?;
                if !created.is_empty() {
                    let programs = created.iter().map(New::program).collect();
                    store.create_in(tx.conn(), programs).await?;
                }
                let step_writes = writes.iter().map(|write| self.step_write(write));
                let written = store.commit_in(tx, step_writes.collect()).await?;
                if written == Written::LeaseLost {
                    // Its connection was closed, and the server may not have heard of it yet. Who
                    // sets attributes waits for its locks.
                    let run_id = writes[0].ticket.run_id.clone();
                    store.set_attributes(run_id, "{}".to_owned()).await?;
                }
                return Ok(Answer::Written(vec![written]));
            }
            Operation::WasWritten(ticket) => {
                let written = store.was_written(self.fence(ticket)).await?;
                return Ok(Answer::WasWritten(written));
            }
            Operation::Heartbeat { worker, held } => {
                let held = self.held(held);
                let lease = Time::LeaseEnd.delay();
                return Ok(Answer::Pulses(store.heartbeat(*worker, lease, held).await?));
            }
            Operation::Prune(state, queue) => {
                let ended = Ended {
                    state: *state,
                    queue: (*queue).to_owned(),
                    age: Duration::ZERO,
                };
                let deleted = store.prune(ended, 1000).await?;
                return Ok(Answer::Many(deleted));
            }
            Operation::Bulk(verb, queue) => {
                let filter = Filter::new().queue(*queue);
                let bulk = Arc::new(Bulk {
                    verb: *verb,
                    filter,
                });
                let count = store.count(Arc::clone(&bulk)).await?;
                let batch = store.bulk(bulk, i64::MIN, 1000).await?;
                let all = batch.done + batch.refused + batch.one_by_one.len();
                assert_eq!(count, all, "a dry run tells the truth");
                return Ok(Answer::Many(batch.done));
            }
            Operation::Cancel(run_id, message) => store.cancel(run_id.clone(), message.clone()),
            Operation::Retry(run_id) => store.retry(run_id.clone()),
            Operation::Delete(run_id) => store.delete(run_id.clone()),
            Operation::Complete(about, output) => {
                let target = self.target(about).await?;
                store.complete(
                    target,
                    output.as_ref().map(Value::to_string),
                    Afterwards::Keep,
                )
            }
            Operation::Fail(about, message) => {
                let target = self.target(about).await?;
                store.fail(target, message.clone(), Afterwards::Keep)
            }
            Operation::HandOff(run_id) => store.hand_off(run_id.clone()),
            Operation::Reschedule(run_id, at) => store.reschedule(run_id.clone(), at.timestamp()),
            Operation::SetAttributes(run_id, fields) => {
                store.set_attributes(run_id.clone(), fields.to_string())
            }
            Operation::SetRetryAfter(run_id, delay) => {
                store.set_retry_after(run_id.clone(), delay.map(Time::delay))
            }
            Operation::SetPaused(queue, paused) => store.set_paused((*queue).to_owned(), *paused),
            Operation::Register(worker) => {
                store.register(record(*worker)).await?;
                return Ok(Answer::Done(true));
            }
            Operation::Deregister(worker) => {
                store.deregister(*worker).await?;
                return Ok(Answer::Done(true));
            }
        };
        Ok(Answer::Done(done.await?))
    }

    async fn target(&self, about: &About) -> Result<Target> {
        Ok(match about {
            About::RunId(run_id) => Target::RunId(run_id.clone()),
            About::Claim(ticket, step) => {
                let number = self.fence(ticket).token;
                Target::Token(HandOffToken::new(ticket.run_id.clone(), *step, number))
            }
            About::Shown(run_id) => {
                let shown = self.store.get(run_id.clone()).await?.expect("it is there");
                Target::Token(shown.hand_off_token.expect("it waits"))
            }
        })
    }

    async fn claim(&mut self, claim: &Claim) -> Result<Answer> {
        let mut killed = Vec::new();
        let together = vec![(QUEUES.to_vec(), 1)];
        let each = QUEUES.map(|queue| (vec![queue], 1)).to_vec();
        let all = [together, each].into_iter();
        for shares in all.filter(|_| self.was_full) {
            // After a full claim a store may go on where that one has stopped. A claim that takes
            // nothing makes it look from the beginning.
            let knows_nothing = Claim {
                shares,
                jobs: Vec::new(),
                others: false,
                ..claim.clone()
            };
            let claimed = self.store.claim(self.request(&knows_nothing)).await?;
            assert!(claimed.programs.is_empty(), "{:?}", claimed.programs);
            killed.extend(claimed.killed);
        }
        let claimed = self.store.claim(self.request(claim)).await?;
        killed.extend(claimed.killed);
        let mut killed: Vec<_> = killed.into_iter().map(failed).collect();
        killed.sort_by(|a, b| a.0.cmp(&b.0));
        self.was_full = !claimed.programs.is_empty();
        self.taken = claimed.programs.iter().map(|one| one.fence).collect();
        if claim.lease == Time::Now {
            // No worker asks for a lease that is over at once, and a store need not look for its
            // end before the next time that it looks. A change by hand makes it look.
            self.store.set_paused("nobody's".to_owned(), false).await?;
        }
        Ok(Answer::Claimed {
            programs: claimed.programs.iter().map(taken).collect(),
            killed,
            more: claimed.more,
        })
    }

    fn request(&self, claim: &Claim) -> ClaimRequest {
        ClaimRequest {
            worker: claim.worker,
            shares: { claim.shares.iter() }
                .map(|(queues, slots)| Share::new(queues.iter().copied(), *slots))
                .collect(),
            slots: claim.shares.iter().map(|(_, slots)| slots).sum(),
            bytes: if claim.short_of_bytes { 1 } else { 1 << 30 },
            lease: claim.lease.delay(),
            max_crashes: MAX_CRASHES,
            jobs: Arc::new(KnownJobs {
                names: claim.jobs.iter().copied().collect(),
                others: claim.others,
            }),
            room: claim.room.clone(),
            running: self.held(&claim.running),
            suspects: claim.suspects,
            floors: Vec::new(),
        }
    }

    fn step_write(&self, write: &Write) -> StepWrite {
        StepWrite {
            fence: self.fence(&write.ticket),
            change: write.arrow.change(),
            children: write.children.iter().map(New::program).collect(),
            ordinal: write.ordinal,
            lease: Time::LeaseEnd.delay(),
        }
    }
}

impl Shown {
    pub(super) fn filter(&self) -> Filter {
        Filter {
            states: self.states.clone(),
            queue: self.queue.map(str::to_owned),
            name: self.name.map(str::to_owned),
            job: self.job.map(str::to_owned),
            limit: self.limit,
            ..Filter::default()
        }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn taken(program: &ClaimedProgram) -> Taken {
    Taken {
        run_id: program.run_id.clone(),
        job: program.job.clone(),
        jobs: serde_json::from_str(&program.jobs).expect("a list of jobs"),
        program_data: json(&program.program_data),
        job_data: json(&program.job_data),
        outputs: json(&program.outputs),
        step: program.step,
        retries: program.retry_count,
        ordinal: program.ordinal,
        suspect: program.suspect,
    }
}

fn failed(killed: Killed) -> (RunId, Failed) {
    let failed = Failed {
        step: killed.step,
        job: killed.job,
        attempt: 0,
        message: killed.message,
    };
    (killed.run_id, failed)
}

fn record(id: WorkerId) -> WorkerRecord {
    WorkerRecord {
        id,
        host: "test".to_owned(),
        pid: 1,
        shares: vec![Share::new(["one", "two"], 5)],
        lease: Time::LeaseEnd.delay(),
    }
}

impl New {
    fn program(&self) -> NewProgram {
        let start = match self.start {
            Start::Now => program::Start::Now,
            Start::At(time) => program::Start::At(time.timestamp()),
            Start::After(time) => program::Start::After(time.delay()),
        };
        let program = Checked {
            jobs: self.jobs.iter().map(|job| (*job).into()).collect(),
            program_data: self.program_data.to_string(),
            job_data: self.job_data.to_string(),
            attributes: self.attributes.to_string(),
            options: Options {
                name: self.name.map(Into::into),
                queue: Some(self.queue.into()),
                priority: self.priority,
                start,
                unique_key: self.unique_key.map(Into::into),
                replace: self.replace,
                unique_for: None,
                retry_after: self.retry_after.map(Time::delay),
                attributes: None,
            },
        };
        NewProgram {
            run_id: self.run_id.clone(),
            program,
            parent: self.parent.clone(),
        }
    }
}

impl Arrow {
    fn change(&self) -> Change {
        let text = |outputs: &Option<Value>| outputs.as_ref().map(Value::to_string);
        match self {
            Self::Save { job_data } => Change::Save {
                job_data: job_data.to_string(),
            },
            Self::Advance { next, outputs } => Change::Advance {
                next: (*next).to_owned(),
                outputs: text(outputs),
            },
            Self::AdvanceAndRelease { next, outputs } => Change::AdvanceAndRelease {
                next: (*next).to_owned(),
                outputs: text(outputs),
            },
            Self::Finish { outputs } => Change::Finish {
                outputs: text(outputs),
            },
            Self::Retry { failed, after } => Change::Retry {
                failure: failure(failed),
                after: after.delay(),
            },
            Self::Fail { failed } => Change::Fail {
                failure: failure(failed),
            },
            Self::Snooze { after } => Change::Snooze {
                after: after.delay(),
            },
            Self::HandOff { key, next } => Change::HandOff {
                key: key.clone(),
                next: next.map(str::to_owned),
            },
            Self::GiveBack => Change::GiveBack,
        }
    }
}

fn failure(failed: &Failed) -> Failure {
    Failure {
        step: failed.step,
        job: failed.job.clone(),
        attempt: failed.attempt,
        message: failed.message.clone(),
    }
}
