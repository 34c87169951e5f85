//! What a store should be: a list of programs, and the rules of SEMANTICS over them, in plain words.
//!
//! It is written from the rules and not from the statements. It has no clock: see [`Time`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::operation::{
    Answer, Claim, Failed, MAX_CRASHES, New, Operation, Start, Taken, Ticket, Time,
};
use crate::{
    RunId,
    job::data_key,
    store::{ProgramState, WorkerId},
};

#[derive(Clone, Debug)]
pub(super) struct Row {
    /// As it was created.
    pub(super) new: New,
    /// Programs that were created together have no order among them.
    pub(super) batch: usize,
    pub(super) step: usize,
    pub(super) retries: u32,
    pub(super) job_data: Value,
    pub(super) outputs: Value,
    pub(super) attributes: Value,
    pub(super) retry_after: Option<Time>,
    pub(super) token: i64,
    pub(super) rev: i64,
    pub(super) crashes: u32,
    pub(super) ordinal: u32,
    /// Whether it can be claimed, and by which time it stands among the others then.
    pub(super) ready: bool,
    pub(super) order: Time,
    pub(super) available_at: Option<Time>,
    pub(super) lease: Option<Time>,
    pub(super) worker: Option<WorkerId>,
    /// Until when a body may run whose claim was taken away.
    pub(super) busy: Option<Time>,
    pub(super) waiting: bool,
    /// A report that came while the job still ran.
    pub(super) reported: Option<Option<Value>>,
    pub(super) finished: bool,
    pub(super) errored: bool,
    pub(super) message: Option<String>,
    pub(super) errors: Vec<Failed>,
}

impl Row {
    fn new(new: New, batch: usize) -> Self {
        let at = match new.start {
            Start::Now => Time::Now,
            Start::At(time) | Start::After(time) => time,
        };
        Self {
            batch,
            step: 0,
            retries: 0,
            job_data: new.job_data.clone(),
            outputs: Value::Object(Default::default()),
            attributes: new.attributes.clone(),
            retry_after: new.retry_after,
            token: 0,
            rev: 0,
            crashes: 0,
            ordinal: 0,
            ready: at <= Time::Now,
            order: at,
            available_at: Some(at),
            lease: None,
            worker: None,
            busy: None,
            waiting: false,
            reported: None,
            finished: false,
            errored: false,
            message: None,
            errors: Vec::new(),
            new,
        }
    }

    pub(super) fn run_id(&self) -> &RunId {
        &self.new.run_id
    }

    pub(super) fn ended(&self) -> bool {
        self.finished || self.errored
    }

    pub(super) fn job(&self) -> Option<&'static str> {
        self.new.jobs.get(self.step).copied()
    }

    pub(super) fn next(&self) -> Option<&'static str> {
        self.new.jobs.get(self.step + 1).copied()
    }

    /// The key of the current job's data and output.
    pub(super) fn key(&self) -> String {
        match self.job() {
            Some(_) => data_key(&self.new.jobs, self.step),
            None => String::new(),
        }
    }

    pub(super) fn state(&self) -> ProgramState {
        if self.errored {
            ProgramState::Errored
        } else if self.finished {
            ProgramState::Finished
        } else if let Some(lease) = self.lease {
            match lease > Time::Now {
                true => ProgramState::Running,
                false => ProgramState::Available,
            }
        } else if self.waiting {
            ProgramState::Waiting
        } else if self.available_at.is_none_or(|at| at <= Time::Now) {
            ProgramState::Available
        } else {
            ProgramState::Scheduled
        }
    }

    /// Whether it waits for the end of the body under this claim, which was taken away.
    pub(super) fn awaits(&self, ticket: &Ticket) -> bool {
        self.token == ticket.token + 1 && self.lease.is_none() && self.busy > Some(Time::Now)
    }

    /// When it becomes due by itself, unless it is ready already.
    fn is_due(&self) -> bool {
        let due = self.lease.or(self.available_at);
        !self.ended() && !self.ready && due.is_some_and(|at| at <= Time::Now)
    }

    /// Where it stands: a minute for each step of priority.
    fn place(&self) -> (Time, i32) {
        (self.order, self.new.priority)
    }

    pub(super) fn note(&mut self, failed: &Failed) {
        let mut failed = failed.clone();
        let end = failed.message.floor_char_boundary(2048);
        failed.message.truncate(end);
        self.errors.push(failed);
        if self.errors.len() > 20 {
            self.errors.remove(0);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// In the order in which they were created.
    pub(super) rows: Vec<Row>,
    pub(super) paused: BTreeSet<&'static str>,
    pub(super) workers: Vec<WorkerId>,
    batches: usize,
    /// What has happened that an answer does not tell, and how often.
    pub(super) happened: BTreeMap<String, usize>,
}

impl Model {
    pub(super) fn row(&self, run_id: &RunId) -> Option<&Row> {
        self.rows.iter().find(|row| row.run_id() == run_id)
    }

    pub(super) fn row_mut(&mut self, run_id: &RunId) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.run_id() == run_id)
    }

    pub(super) fn happens(&mut self, what: impl Into<String>) {
        *self.happened.entry(what.into()).or_default() += 1;
    }

    /// The unfinished program that has the key.
    pub(super) fn holder(&self, key: Option<&str>) -> Option<&RunId> {
        let has = |row: &&Row| key.is_some() && !row.ended() && row.new.unique_key == key;
        self.rows.iter().find(has).map(Row::run_id)
    }

    pub(super) fn apply(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::Create(programs) => {
                self.batches += 1;
                Answer::Created(programs.iter().map(|new| self.create(new)).collect())
            }
            Operation::Claim(claim) => self.claim(claim),
            Operation::Commit(writes) => {
                self.batches += 1;
                Answer::Written(writes.iter().map(|write| self.write(write)).collect())
            }
            Operation::CommitIn { created, writes } => self.commit_in(created, writes),
            Operation::WasWritten(ticket) => Answer::WasWritten(self.was_written(ticket)),
            Operation::Heartbeat { worker, held } => {
                Answer::Pulses(held.iter().map(|held| self.pulse(*worker, held)).collect())
            }
            Operation::SetPaused(queue, true) => Answer::Done(self.paused.insert(queue)),
            Operation::SetPaused(queue, false) => Answer::Done(self.paused.remove(queue)),
            Operation::Prune(state, queue) => Answer::Many(self.prune(*state, queue)),
            Operation::Bulk(verb, queue) => Answer::Many(self.bulk(*verb, queue)),
            Operation::Register(worker) => {
                self.workers.push(*worker);
                Answer::Done(true)
            }
            Operation::Deregister(worker) => {
                self.workers.retain(|known| known != worker);
                Answer::Done(true)
            }
            verb => self.control(verb),
        }
    }

    /// At most one unfinished program has a key.
    pub(super) fn create(&mut self, new: &New) -> (RunId, bool) {
        if let Some(holder) = self.holder(new.unique_key).cloned() {
            if new.replace
                && let Some(row) = self.row_mut(&holder)
            {
                let what = row.replace(new);
                self.happens(what);
            }
            return (holder, true);
        }
        self.rows.push(Row::new(new.clone(), self.batches));
        (new.run_id.clone(), false)
    }

    pub(super) fn next_batch(&mut self) {
        self.batches += 1;
    }

    fn claim(&mut self, claim: &Claim) -> Answer {
        let killed = self.promote(claim);
        let (chosen, more) = self.best(claim);
        let mut programs = Vec::new();
        for at in chosen {
            let row = &mut self.rows[at];
            row.token += 1;
            row.rev += 1;
            row.ready = false;
            row.lease = Some(claim.lease);
            row.worker = Some(claim.worker);
            programs.push(Taken {
                run_id: row.run_id().clone(),
                job: row.job().unwrap_or_default().to_owned(),
                jobs: row.new.jobs.iter().map(|job| (*job).to_owned()).collect(),
                program_data: row.new.program_data.clone(),
                job_data: row.job_data.clone(),
                outputs: row.outputs.clone(),
                step: row.step,
                retries: row.retries,
                ordinal: row.ordinal,
                suspect: row.crashes >= SUSPECT_FROM,
            });
            if row.crashes > 0 {
                self.happens("claim: what a dead worker had");
            }
            if self.rows[at].ordinal > 0 {
                self.happens("claim: a step that has started children");
            }
        }
        if more {
            self.happens("claim: more is due than was taken");
        }
        Answer::Claimed {
            programs,
            killed,
            more,
        }
    }

    /// Makes available what has become due, and what dead workers held (SEMANTICS §2.7); the worker's
    /// own leases go on (§2.4).
    pub(super) fn promote(&mut self, claim: &Claim) -> Vec<(RunId, Failed)> {
        let mut killed = Vec::new();
        for at in 0..self.rows.len() {
            let row = &mut self.rows[at];
            if !row.is_due() {
                continue;
            }
            let is_ours = claim
                .running
                .iter()
                .any(|held| held.run_id == *row.run_id() && held.token == row.token);
            let what = if row.lease.is_none() {
                row.ready = true;
                match std::mem::take(&mut row.waiting) {
                    true => "a hand-off comes back",
                    false => "a delay is over",
                }
            } else if is_ours {
                row.lease = Some(claim.lease);
                "our own lease is renewed"
            } else {
                row.crashes += 1;
                row.lease = None;
                if row.crashes >= MAX_CRASHES {
                    let failed = row.kill();
                    // The answer does not tell which attempt it was; the errors do.
                    killed.push((
                        row.run_id().clone(),
                        Failed {
                            attempt: 0,
                            ..failed
                        },
                    ));
                    "the last crash"
                } else {
                    row.ready = true;
                    "a lease is over"
                }
            };
            row.order = row.available_at.unwrap_or(Time::Now);
            self.happens(format!("claim: {what}"));
        }
        killed.sort_by(|a, b| a.0.cmp(&b.0));
        killed
    }

    /// The best programs that this claim may take, and whether it leaves others that it might take
    /// (SEMANTICS §4.1, 4.2).
    pub(super) fn best(&self, claim: &Claim) -> (Vec<usize>, bool) {
        let is_open = |row: &Row| {
            claim.share_of(row.new.queue).is_some() && !self.paused.contains(row.new.queue)
        };
        let may_be_run = |row: &Row| {
            let is_known = row.job().is_some_and(|job| claim.jobs.contains(&job));
            is_known || claim.others
        };
        let mut ready: Vec<usize> = (0..self.rows.len())
            .filter(|at| {
                let row = &self.rows[*at];
                let is_suspect = row.crashes >= SUSPECT_FROM;
                row.ready
                    && !row.ended()
                    && is_open(row)
                    && may_be_run(row)
                    && !(is_suspect && claim.suspects == 0)
            })
            .collect();
        ready.sort_by_key(|at| self.rows[*at].place());
        let mut room = claim.room.clone();
        let mut free: Vec<usize> = claim.shares.iter().map(|(_, slots)| *slots).collect();
        let slots = if claim.short_of_bytes {
            1
        } else {
            free.iter().sum()
        };
        let (mut best, mut more) = (Vec::new(), false);
        for at in ready {
            let row = &self.rows[at];
            let share = claim.share_of(row.new.queue).expect("it is open");
            if free[share] == 0 && claim.shares.len() > 1 {
                continue;
            }
            match room.iter_mut().find(|(name, _)| Some(*name) == row.job()) {
                None => {}
                Some((_, 0)) => continue,
                Some((_, room)) => *room -= 1,
            }
            if best.len() == slots {
                more = true;
            } else {
                free[share] -= 1;
                best.push(at);
            }
        }
        (best, more)
    }

    pub(super) fn is_suspect(&self, at: usize) -> bool {
        self.rows[at].crashes >= SUSPECT_FROM
    }
}

/// From how many crashes on a program runs beside no other such one.
const SUSPECT_FROM: u32 = 2;

impl Row {
    fn kill(&mut self) -> Failed {
        let failed = Failed {
            step: self.step,
            job: self.key(),
            attempt: self.retries + 1,
            message: format!("its worker died {} times in this step", self.crashes),
        };
        self.note(&failed);
        self.errored = true;
        self.message = Some(failed.message.clone());
        self.token += 1;
        self.worker = None;
        failed
    }
}
