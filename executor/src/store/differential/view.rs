//! What can be seen of the programs, in a store and in the model.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    model::{Model, Row},
    operation::{Failed, Time},
};
use crate::{
    RunId,
    store::{ProgramInfo, ProgramState, Stats},
};

/// A program as people see it; of a time only how far away it is.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) run_id: RunId,
    name: Option<String>,
    state: ProgramState,
    queue: String,
    jobs: Vec<String>,
    step: usize,
    retries: u32,
    program_data: Value,
    job_data: Value,
    outputs: Value,
    attributes: Value,
    priority: i32,
    available_at: Option<Time>,
    lease_until: Option<Time>,
    worker: Option<String>,
    crashes: u32,
    unique_key: Option<String>,
    retry_after: Option<Time>,
    parent: Option<RunId>,
    has_finished_at: bool,
    has_errored_at: bool,
    error_message: Option<String>,
    errors: Vec<Failed>,
    hand_off_step: Option<usize>,
}

impl Seen {
    pub(super) fn of(program: ProgramInfo) -> Self {
        for time in [program.created_at, program.updated_at] {
            let time = time.expect("each program has it");
            assert_eq!(
                Time::of(time),
                Time::Now,
                "{} has changed lately",
                program.run_id
            );
        }
        let errors = program.errors.into_iter().map(|error| {
            assert!(!error.at.is_empty(), "an error has a time");
            Failed {
                step: error.step,
                job: error.job,
                attempt: error.attempt,
                message: error.error,
            }
        });
        let retry_after = program.retry_after.map(|delay| {
            let known = [Time::Now, Time::Later];
            let known = known.into_iter().find(|time| time.delay() == delay);
            known.expect("no other was set")
        });
        Self {
            run_id: program.run_id,
            name: program.name,
            state: program.state,
            queue: program.queue,
            jobs: program.jobs,
            step: program.step,
            retries: program.step_retry_count,
            program_data: program.program_data,
            job_data: program.job_data,
            outputs: program.outputs,
            attributes: program.attributes,
            priority: program.priority,
            available_at: program.available_at.map(Time::of),
            lease_until: program.lease_until.map(Time::of),
            worker: program.worker,
            crashes: program.crashes,
            unique_key: program.unique_key,
            retry_after,
            parent: program.parent_run_id,
            has_finished_at: program.finished_at.is_some(),
            has_errored_at: program.errored_at.is_some(),
            error_message: program.error_message,
            errors: errors.collect(),
            hand_off_step: program.hand_off_token.map(|token| token.step()),
        }
    }

    pub(super) fn expected(row: &Row) -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            run_id: row.run_id().clone(),
            name: row.new.name.map(text),
            state: row.state(),
            queue: text(row.new.queue),
            jobs: row.new.jobs.iter().map(|job| text(job)).collect(),
            step: row.step,
            retries: row.retries,
            program_data: row.new.program_data.clone(),
            job_data: row.job_data.clone(),
            outputs: row.outputs.clone(),
            attributes: row.attributes.clone(),
            priority: row.new.priority,
            available_at: row.available_at,
            lease_until: row.lease,
            worker: row.worker.map(|worker| worker.to_string()),
            crashes: row.crashes,
            unique_key: row.new.unique_key.map(text),
            retry_after: row.retry_after,
            parent: row.new.parent.clone(),
            has_finished_at: row.finished,
            has_errored_at: row.errored,
            error_message: row.message.clone(),
            errors: row.errors.clone(),
            hand_off_step: (row.state() == ProgramState::Waiting).then_some(row.step),
        }
    }
}

/// How many programs are in which state, and which queues there are.
#[derive(Debug, PartialEq)]
pub(super) struct Counted {
    states: BTreeMap<ProgramState, u64>,
    queues: BTreeMap<String, (bool, BTreeMap<ProgramState, u64>)>,
}

impl Counted {
    pub(super) fn of(stats: Stats) -> Self {
        let queues = stats.queues.into_iter();
        Self {
            states: stats.states,
            queues: queues
                .map(|(name, queue)| (name, (queue.paused, queue.states)))
                .collect(),
        }
    }

    pub(super) fn expected(model: &Model) -> Self {
        let mut counted = Self {
            states: ProgramState::ALL
                .into_iter()
                .map(|state| (state, 0))
                .collect(),
            queues: BTreeMap::new(),
        };
        for row in &model.rows {
            *counted.states.entry(row.state()).or_default() += 1;
            if !row.ended() {
                let queue = counted.queues.entry(row.new.queue.to_owned()).or_default();
                *queue.1.entry(row.state()).or_default() += 1;
            }
        }
        for queue in &model.paused {
            counted.queues.entry((*queue).to_owned()).or_default().0 = true;
        }
        counted
    }
}

/// Which programs a list is to show.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) states: Vec<ProgramState>,
    pub(super) queue: Option<&'static str>,
    pub(super) name: Option<&'static str>,
    pub(super) job: Option<&'static str>,
    pub(super) limit: Option<usize>,
}

impl Shown {
    fn shows(&self, row: &Row) -> bool {
        (self.states.is_empty() || self.states.contains(&row.state()))
            && self.queue.is_none_or(|queue| queue == row.new.queue)
            && self.name.is_none_or(|name| row.new.name == Some(name))
            && self.job.is_none_or(|job| row.job() == Some(job))
    }
}

impl Model {
    /// Newest first.
    pub(super) fn list(&self, shown: &Shown) -> Vec<&Row> {
        let rows = self.rows.iter().rev();
        rows.filter(|row| shown.shows(row)).collect()
    }

    pub(super) fn children(&self, parent: &RunId) -> Vec<&Row> {
        let rows = self.rows.iter();
        rows.filter(|row| row.new.parent.as_ref() == Some(parent))
            .collect()
    }
}

/// Whether these run ids are in the rows' order, of which there may be more. Programs that were
/// created together have no order among them.
pub(super) fn in_order(found: &[RunId], rows: &[&Row]) -> bool {
    let mut rows = rows.iter().peekable();
    let mut found = found.iter().peekable();
    while let Some(batch) = rows.peek().map(|row| row.batch) {
        let mut together = BTreeSet::new();
        while let Some(row) = rows.next_if(|row| row.batch == batch) {
            together.insert(row.run_id());
        }
        while found.next_if(|run_id| together.remove(run_id)).is_some() {}
        if !together.is_empty() {
            break;
        }
    }
    found.peek().is_none()
}
