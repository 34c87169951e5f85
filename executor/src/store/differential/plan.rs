//! Which operation comes next: by chance, but such as workers and people may do it.
//!
//! A worker writes under a claim until the claim has ended for it; it may send any of its writes
//! again, and go on writing when its program was taken away without its knowing. Nothing is done whose
//! outcome the rules leave open.

use std::collections::BTreeMap;

use super::{
    model::{Model, Row},
    operation::{About, Answer, Claim, Operation, Ticket, Time, Write},
    values,
};
use crate::{
    RunId,
    store::{BulkVerb, ProgramState, WorkerId},
};

pub(super) struct Plan {
    pub(super) rng: fastrand::Rng,
    sequence: usize,
    made: usize,
    pub(super) workers: Vec<WorkerId>,
    pub(super) held: Vec<Holding>,
    /// What has happened in the sequences before.
    pub(super) happened: BTreeMap<String, usize>,
}

/// What a worker knows of a claim of its.
pub(super) struct Holding {
    pub(super) ticket: Ticket,
    worker: WorkerId,
    pub(super) ended: bool,
    pub(super) sent: Vec<Write>,
}

pub(super) const QUEUES: [&str; 2] = ["one", "two"];
pub(super) const JOBS: [&str; 5] = ["a", "b", "c", "limited", "unknown"];

impl Plan {
    pub(super) fn new(seed: u64, sequence: usize, happened: BTreeMap<String, usize>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let workers = (0..3).map(|_| WorkerId(uuid::Uuid::from_u128(rng.u128(..))));
        let workers = workers.collect();
        Self {
            rng,
            sequence,
            made: 0,
            workers,
            held: Vec::new(),
            happened,
        }
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.usize(..all.len())]
    }

    /// Whether something happens that does so many times of a hundred.
    pub(super) fn by_chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    pub(super) fn next(&mut self, model: &Model) -> Operation {
        loop {
            if let Some(operation) = self.propose(model) {
                return operation;
            }
        }
    }

    /// `None`: there is nothing to do it to.
    fn propose(&mut self, model: &Model) -> Option<Operation> {
        let has_crashed = |row: &Row| row.crashes > 0 && !row.ended();
        if model.rows.iter().any(has_crashed) && self.by_chance(20) {
            return Some(Operation::Claim(self.fatal_claim(model)));
        }
        Some(match self.rng.u8(..118) {
            0..12 => Operation::Create(self.programs(model, 3)),
            12..30 => Operation::Claim(self.claim(model)),
            30..60 => {
                let most = self.one_of(&[1, 1, 2, 4]);
                Operation::Commit(self.writes(model, most)?)
            }
            60..67 => self.transaction(model)?,
            67..70 => Operation::WasWritten(self.asked(model)?),
            70..75 => self.heartbeat(model)?,
            75..80 => {
                let run_id = match self.rng.bool() {
                    true => self.program(model, |row| row.lease.is_some() && !row.ended()),
                    false => self.program(model, |row| !row.ended()),
                };
                Operation::Cancel(run_id, values::text(&mut self.rng))
            }
            80..84 => {
                let all = self.by_chance(30);
                let is_at_end = |row: &Row| row.errored && row.job().is_none();
                let all = all || !model.rows.iter().any(is_at_end);
                Operation::Retry(self.program(model, |row| row.errored && (all || is_at_end(row))))
            }
            84..86 => Operation::Delete(self.program(model, |_| true)),
            86..93 => {
                let about = self.about(model);
                let output = values::output(&mut self.rng);
                Operation::Complete(about, output)
            }
            93..96 => {
                let about = self.about(model);
                Operation::Fail(about, values::text(&mut self.rng))
            }
            96..98 => Operation::HandOff(self.program(model, |row| {
                row.reported.is_some() || row.state() == ProgramState::Running
            })),
            98..101 => {
                let run_id = self.program(model, |row| !row.ended());
                let at = self.one_of(&[Time::LongAgo, Time::Now, Time::Later]);
                Operation::Reschedule(run_id, at)
            }
            101..103 => {
                let run_id = self.program(model, |_| true);
                Operation::SetAttributes(run_id, values::object(&mut self.rng))
            }
            103..105 => {
                let run_id = self.program(model, |row| row.waiting);
                let delay = self.one_of(&[None, Some(Time::Now), Some(Time::Later)]);
                Operation::SetRetryAfter(run_id, delay)
            }
            105..112 => {
                let queue = self.one_of(&QUEUES);
                let paused = self.by_chance(if model.paused.is_empty() { 80 } else { 40 });
                Operation::SetPaused(queue, paused)
            }
            112 => {
                let ended = [ProgramState::Finished, ProgramState::Errored];
                Operation::Prune(self.one_of(&ended), self.one_of(&QUEUES))
            }
            113..116 => {
                let verbs = [
                    BulkVerb::Cancel,
                    BulkVerb::Retry,
                    BulkVerb::Retry,
                    BulkVerb::Delete,
                ];
                Operation::Bulk(self.one_of(&verbs), self.one_of(&QUEUES))
            }
            _ => {
                let worker = self.one_of(&self.workers.clone());
                match model.workers.contains(&worker) {
                    true => Operation::Deregister(worker),
                    false => Operation::Register(worker),
                }
            }
        })
    }

    /// A program to which this can be done, or now and then one to which it can't.
    fn program(&mut self, model: &Model, suits: impl Fn(&Row) -> bool) -> RunId {
        let suiting: Vec<_> = model.rows.iter().filter(|row| suits(row)).collect();
        let any: Vec<_> = model.rows.iter().collect();
        let from = match self.by_chance(75) && !suiting.is_empty() {
            true => suiting,
            false => any,
        };
        if from.is_empty() || self.by_chance(4) {
            return "nobody".into();
        }
        self.one_of(&from).run_id().clone()
    }

    fn claim(&mut self, model: &Model) -> Claim {
        let worker = self.one_of(&self.workers.clone());
        let mut slots = || self.one_of(&[1, 1, 2, 3, 5]);
        let divided = QUEUES.map(|queue| (vec![queue], slots())).to_vec();
        let shares = match self.rng.u8(..10) {
            0..5 => vec![(QUEUES.to_vec(), self.one_of(&[1, 1, 2, 3, 5]))],
            5..8 => divided,
            _ => vec![divided[self.rng.usize(..divided.len())].clone()],
        };
        let running = self.held.iter().filter(|held| held.worker == worker);
        let running: Vec<_> = running.map(|held| held.ticket.clone()).collect();
        let jobs = match self.rng.u8(..10) {
            // It makes available what is due, and takes nothing.
            0 => Vec::new(),
            1..3 => JOBS[1..3].to_vec(),
            _ => JOBS[..4].to_vec(),
        };
        // Only a job that the worker knows has a limit in it.
        // Which of several shares gets its room first is up to the store.
        let room = match self.by_chance(40) && jobs.contains(&"limited") && shares.len() == 1 {
            true => vec![("limited", self.rng.usize(..3))],
            false => Vec::new(),
        };
        let mut claim = Claim {
            worker,
            shares,
            short_of_bytes: self.by_chance(10),
            lease: self.one_of(&[Time::LeaseEnd, Time::LeaseEnd, Time::Now]),
            jobs,
            others: self.by_chance(10),
            room,
            running: match self.by_chance(30) {
                true => running,
                false => Vec::new(),
            },
            suspects: self.rng.usize(..2),
        };
        self.with_suspects(model, &mut claim);
        claim
    }

    /// A claim of a worker that dies at once: what has crashed before crashes again.
    fn fatal_claim(&mut self, model: &Model) -> Claim {
        let mut claim = Claim {
            shares: vec![(QUEUES.to_vec(), 5)],
            short_of_bytes: false,
            lease: Time::Now,
            jobs: JOBS.to_vec(),
            room: Vec::new(),
            running: Vec::new(),
            suspects: 1,
            ..self.claim(model)
        };
        self.with_suspects(model, &mut claim);
        claim
    }

    fn with_suspects(&self, model: &Model, claim: &mut Claim) {
        // Which programs come in the place of suspects that may not be taken is up to the store.
        let mut then = model.clone();
        then.promote(claim);
        let (best, _) = then.best(claim);
        let suspects = best.into_iter().filter(|at| then.is_suspect(*at)).count();
        if claim.suspects > 0 {
            claim.suspects = claim.suspects.max(suspects);
        }
    }

    pub(super) fn one_of_the_latest<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        let from = all.len().saturating_sub(self.one_of(&[1, 3, 6, 100]));
        let latest = &all[from..];
        (!latest.is_empty()).then(|| latest[self.rng.usize(..latest.len())].clone())
    }

    /// A write whose answer was lost, or that was never sent.
    fn asked(&mut self, model: &Model) -> Option<Ticket> {
        let of_stopped = |held: &&Holding| {
            let row = model.row(&held.ticket.run_id);
            row.is_some_and(|row| row.errored && row.token == held.ticket.token)
        };
        let stopped = self.held.iter().filter(of_stopped);
        let stopped = stopped.filter_map(|held| Some(held.sent.last()?.ticket.clone()));
        let stopped: Vec<_> = stopped.collect();
        if self.by_chance(40) && !stopped.is_empty() {
            return self.one_of_the_latest(&stopped);
        }
        let held = self.held.iter().flat_map(|held| {
            let sent = held.sent.iter().map(|write| &write.ticket);
            sent.chain([&held.ticket])
        });
        let all: Vec<_> = held.cloned().collect();
        self.one_of_the_latest(&all)
    }

    fn heartbeat(&mut self, model: &Model) -> Option<Operation> {
        let ticket = self.writing(model)?;
        let worker = self.held.iter().find(|held| held.ticket == ticket)?.worker;
        let mut held = vec![ticket];
        for other in self.held.iter().rev().filter(|held| held.worker == worker) {
            let is_there = held.iter().any(|held| held.run_id == other.ticket.run_id);
            if !is_there && held.len() < 4 {
                held.push(other.ticket.clone());
            }
        }
        let worker = match self.by_chance(10) {
            true => self.one_of(&self.workers.clone()),
            false => worker,
        };
        Some(Operation::Heartbeat { worker, held })
    }

    fn about(&mut self, model: &Model) -> About {
        let run_id = self.program(model, |row| row.waiting || row.lease.is_some());
        let row = model.row(&run_id);
        let is_waiting = row.is_some_and(|row| row.state() == ProgramState::Waiting);
        if is_waiting && self.by_chance(40) {
            return About::Shown(run_id);
        }
        let claims = self.held.iter().map(|held| held.ticket.clone());
        let claims: Vec<_> = claims.filter(|ticket| ticket.run_id == run_id).collect();
        let has_one_job = row.is_none_or(|row| row.new.jobs.len() == 1);
        if claims.is_empty() || self.by_chance(if has_one_job { 50 } else { 10 }) {
            return About::RunId(run_id);
        }
        let from = claims.len().saturating_sub(2);
        let claim = claims[self.rng.usize(from..claims.len())].clone();
        let step = row.map_or(0, |row| row.step);
        let step = if self.by_chance(20) { step + 1 } else { step };
        About::Claim(claim, step)
    }

    /// The run id of a new program, and a priority that no other has.
    pub(super) fn name(&mut self) -> (RunId, i32) {
        self.made += 1;
        let number = i32::try_from(self.made).expect("a few programs");
        // Nearly half of them come before all that are there.
        let priority = if self.by_chance(45) { -number } else { number };
        (format!("{}-{}", self.sequence, self.made).into(), priority)
    }

    /// What the workers learn from an answer.
    pub(super) fn learn(
        &mut self,
        operation: &Operation,
        answer: &Answer,
        model: &Model,
    ) -> Vec<Ticket> {
        // A child that was deleted comes again with a write that is sent again: it is another
        // program then, though it has the same name.
        self.held.retain(|held| {
            let row = model.row(&held.ticket.run_id);
            row.is_none_or(|row| row.token >= held.ticket.token)
        });
        match (operation, answer) {
            (Operation::Claim(claim), Answer::Claimed { programs, .. }) => {
                let ticket = |run_id: &RunId| {
                    let row = model.row(run_id).expect("it was taken");
                    Ticket {
                        run_id: run_id.clone(),
                        token: row.token,
                        rev: row.rev,
                    }
                };
                let taken: Vec<_> = programs.iter().map(|one| ticket(&one.run_id)).collect();
                self.held.extend(taken.iter().map(|ticket| Holding {
                    ticket: ticket.clone(),
                    worker: claim.worker,
                    ended: false,
                    sent: Vec::new(),
                }));
                taken
            }
            (Operation::Commit(writes), Answer::Written(written)) => {
                for (write, written) in writes.iter().zip(written) {
                    self.has_written(write, written);
                }
                Vec::new()
            }
            (Operation::CommitIn { writes, .. }, Answer::Written(written)) => {
                for write in writes {
                    self.has_written(write, &written[0]);
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}
