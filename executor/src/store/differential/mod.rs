//! Each store against a model: the same operations are done to both, by chance, and what they answer
//! and what can be seen of them is compared after each.
//!
//! The model is written from the rules of SEMANTICS. What it does not know, this test does not see:
//! how things go when several do them at once, what is taken of more suspects than may be taken, where
//! a claim goes on after a full one, values that a database refuses, and rows that somebody has locked
//! or spoilt by hand. The suite and the tests over real servers do.
//!
//! A failure prints its seed; `EXECUTOR_TEST_SEED` runs the same operations again.

mod control;
mod coverage;
mod model;
mod operation;
mod plan;
mod subject;
mod values;
mod view;
mod worker;
mod writes;

use std::{fmt::Debug, sync::Arc};

use self::{
    coverage::Coverage,
    model::Model,
    operation::Operation,
    plan::{JOBS, Plan, QUEUES},
    subject::Subject,
    view::{Counted, Seen, Shown, in_order},
};
use crate::{
    RunId,
    store::{ProgramState, Store},
};

const SEQUENCES: usize = 20;
const OPERATIONS: usize = 120;
/// How many sequences are made at most, until each case was there.
const MOST_SEQUENCES: usize = 200;

#[allow(clippy::print_stdout, reason = "it is shown where the test fails")]
pub(super) async fn stores_agree_with_the_model(store: Arc<dyn Store>) {
    let seed = match std::env::var("EXECUTOR_TEST_SEED") {
        Ok(seed) => seed.parse().expect("EXECUTOR_TEST_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    // Where something panics, nobody else tells it.
    println!("EXECUTOR_TEST_SEED={seed}");
    let mut seeds = fastrand::Rng::with_seed(seed);
    let mut coverage = Coverage::default();
    let mut sequence = 0;
    while sequence < SEQUENCES || (sequence < MOST_SEQUENCES && !coverage.missing().is_empty()) {
        let plan = Plan::new(seeds.u64(..), sequence, coverage.0.clone());
        let mut sequence_run = Sequence {
            name: format!("EXECUTOR_TEST_SEED={seed}, sequence {sequence}"),
            plan,
            model: Model::default(),
            subject: Subject::new(Arc::clone(&store)),
            done: Vec::new(),
        };
        sequence_run.run(&mut coverage).await;
        sequence += 1;
    }
    let missing = coverage.missing();
    assert!(
        missing.is_empty(),
        "EXECUTOR_TEST_SEED={seed}: in {sequence} sequences there was never: {missing:#?}"
    );
}

/// One sequence of operations, which begins and ends with no programs.
struct Sequence {
    name: String,
    plan: Plan,
    model: Model,
    subject: Subject,
    done: Vec<Operation>,
}

impl Sequence {
    async fn run(&mut self, coverage: &mut Coverage) {
        for worker in self.plan.workers.clone() {
            self.step(Operation::Register(worker), coverage).await;
        }
        for number in 0..OPERATIONS {
            let operation = self.plan.next(&self.model);
            self.step(operation, coverage).await;
            if number % 8 == 7 {
                self.compare_all().await;
            }
        }
        self.compare_all().await;
        self.clear(coverage).await;
        self.compare_all().await;
        coverage.add(std::mem::take(&mut self.model.happened));
    }

    async fn clear(&mut self, coverage: &mut Coverage) {
        for state in [ProgramState::Finished, ProgramState::Errored] {
            for queue in QUEUES {
                self.step(Operation::Prune(state, queue), coverage).await;
            }
        }
        let queues = self.model.paused.clone();
        let resumed = queues
            .into_iter()
            .map(|queue| Operation::SetPaused(queue, false));
        let gone = self.model.rows.iter();
        let gone = gone.map(|row| Operation::Delete(row.run_id().clone()));
        let workers = self
            .model
            .workers
            .iter()
            .map(|worker| Operation::Deregister(*worker));
        let all: Vec<_> = resumed.chain(gone).chain(workers).collect();
        for operation in all {
            self.step(operation, coverage).await;
        }
    }

    /// Does one operation to both.
    async fn step(&mut self, operation: Operation, coverage: &mut Coverage) {
        let expected = self.model.apply(&operation);
        let found = self.subject.apply(&operation).await;
        self.done.push(operation);
        if !expected.allows(&found) {
            self.differ("the answer", &expected, &found);
        }
        let operation = &self.done[self.done.len() - 1];
        coverage.note(operation, &expected);
        let tickets = self.plan.learn(operation, &expected, &self.model);
        self.subject.call(&tickets);
        for run_id in coverage::touches(operation) {
            let found = self.subject.store.get(run_id.clone()).await.expect("read");
            let found = found.map(Seen::of);
            let expected = self.model.row(&run_id).map(Seen::expected);
            self.compare(&format!("get {run_id}"), &expected, &found);
        }
    }

    async fn compare_all(&mut self) {
        let store = Arc::clone(&self.subject.store);
        let listed = store.list(
            Shown {
                limit: Some(10_000),
                ..Shown::default()
            }
            .filter(),
        );
        let listed = listed.await.expect("read");
        let order: Vec<_> = listed
            .iter()
            .map(|program| program.run_id.clone())
            .collect();
        let mut found: Vec<_> = listed.into_iter().map(Seen::of).collect();
        found.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        let mut expected: Vec<_> = self.model.rows.iter().map(Seen::expected).collect();
        expected.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        for (expected, found) in expected.iter().zip(&found) {
            self.compare("a program", expected, found);
        }
        self.compare("how many programs", &expected.len(), &found.len());
        self.ordered("list", &order, &Shown::default());

        let found = Counted::of(store.stats().await.expect("read"));
        self.compare("stats", &Counted::expected(&self.model), &found);
        self.compare_list().await;
        self.compare_children().await;
        let workers = store.workers();
        let workers = workers.await.expect("read").into_iter();
        let mut found: Vec<_> = workers
            .map(|worker| (worker.id, worker.queues, worker.slots))
            .collect();
        found.sort();
        let queues = || QUEUES.map(str::to_owned).to_vec();
        let expected = self.model.workers.iter();
        let mut expected: Vec<_> = expected.map(|id| (id.to_string(), queues(), 5)).collect();
        expected.sort();
        self.compare("workers", &expected, &found);
    }

    /// A list of some programs.
    async fn compare_list(&mut self) {
        let plan = &mut self.plan;
        let mut shown = Shown::default();
        for _ in 0..plan.rng.usize(..3) {
            shown.states.push(plan.one_of(&ProgramState::ALL));
        }
        shown.queue = plan.one_of(&[None, None, Some(QUEUES[0])]);
        shown.name = plan.one_of(&[None, None, Some("named")]);
        shown.job = plan.one_of(&[None, None, Some(JOBS[0])]);
        shown.limit = plan.one_of(&[None, Some(1), Some(3)]);
        let listed = self.subject.store.list(shown.filter()).await.expect("read");
        let listed: Vec<_> = listed.into_iter().map(|program| program.run_id).collect();
        let all = self.model.list(&shown).len();
        let limit = shown.limit.unwrap_or(100);
        self.compare(
            &format!("how many of {shown:?}"),
            &all.min(limit),
            &listed.len(),
        );
        self.ordered("list", &listed, &shown);
    }

    async fn compare_children(&mut self) {
        let parents = self
            .model
            .rows
            .iter()
            .filter_map(|row| row.new.parent.clone());
        let parents: Vec<_> = parents.collect();
        if parents.is_empty() {
            return;
        }
        let parent = &parents[self.plan.rng.usize(..parents.len())];
        let found = self
            .subject
            .store
            .children(parent.clone())
            .await
            .expect("read");
        let expected = self.model.children(parent);
        let fits = found.len() == expected.len() && in_order(&found, &expected);
        if !fits {
            let expected: Vec<_> = expected.iter().map(|row| row.run_id()).collect();
            self.differ(&format!("children of {parent}"), &expected, &found);
        }
    }

    fn ordered(&self, what: &str, found: &[RunId], shown: &Shown) {
        let expected = self.model.list(shown);
        if !in_order(found, &expected) {
            let expected: Vec<_> = expected.iter().map(|row| row.run_id()).collect();
            self.differ(&format!("{what} {shown:?}"), &expected, &found);
        }
    }

    fn compare<T: PartialEq + Debug>(&self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.differ(what, expected, found);
        }
    }

    fn differ(&self, what: &str, expected: &dyn Debug, found: &dyn Debug) -> ! {
        let done: Vec<_> = self.done.iter().map(|done| format!("  {done:?}")).collect();
        panic!(
            "the store does not do as the model does\n{}, after these {} operations:\n{}\n\
             {what}:\nthe model: {expected:#?}\nthe store: {found:#?}",
            self.name,
            done.len(),
            done.join("\n"),
        );
    }
}
