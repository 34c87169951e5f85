//! Values by chance, and such as a database might spoil.

use serde_json::{Map, Value, json};

use super::{
    model::Model,
    operation::{New, Start, Time},
    plan::{JOBS, Plan, QUEUES},
};
use crate::RunId;

const TEXTS: [&str; 10] = [
    "",
    "null",
    "it broke",
    "a \"quoted\" \\ text, and 'another'",
    "{now} ? $1 %s {t} :name",
    "several\nlines\tof\r\ntext",
    "ünïcödé 漢字 🦀",
    "'; DROP TABLE programs; --",
    "trailing space ",
    "{\"json\": [1, 2]}",
];

pub(super) fn text(rng: &mut fastrand::Rng) -> String {
    let text = TEXTS[rng.usize(..TEXTS.len())];
    match rng.u8(..10) {
        // Longer than the errors keep it, and cut within a character.
        0 => format!("{text}{}", "ä€🦀".repeat(300)),
        _ => text.to_owned(),
    }
}

fn value(rng: &mut fastrand::Rng) -> Value {
    let numbers = [
        json!(0),
        json!(-1),
        json!(0.1),
        json!(1.0),
        json!(1e-7),
        json!(i64::MIN),
        json!(u64::MAX),
    ];
    match rng.u8(..9) {
        0 => Value::Null,
        1 => Value::Bool(rng.bool()),
        2..5 => numbers[rng.usize(..numbers.len())].clone(),
        5 => json!([1, null, "x", []]),
        6 => json!({"deep": {"er": null}, "": 0}),
        _ => Value::String(TEXTS[rng.usize(..TEXTS.len())].to_owned()),
    }
}

/// An object of few names, so that they meet again.
pub(super) fn object(rng: &mut fastrand::Rng) -> Value {
    let names = ["a", "b", "b#2", "", "a name"];
    let number = rng.usize(..4);
    let fields = (0..number).map(|_| {
        let name = names[rng.usize(..names.len())].to_owned();
        (name, value(rng))
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

pub(super) fn output(rng: &mut fastrand::Rng) -> Option<Value> {
    rng.bool().then(|| value(rng))
}

impl Plan {
    /// New programs; no two of them have one key.
    pub(super) fn programs(&mut self, model: &Model, most: usize) -> Vec<New> {
        let number = self.rng.usize(1..=most);
        let mut programs: Vec<New> = Vec::new();
        for _ in 0..number {
            let mut new = self.new_program(model);
            let is_free = |other: &New| other.unique_key != new.unique_key;
            if !programs.iter().all(is_free) {
                new.unique_key = None;
            }
            programs.push(new);
        }
        programs
    }

    pub(super) fn child(&mut self, model: &Model, parent: &RunId, run_id: RunId) -> New {
        New {
            run_id,
            parent: Some(parent.clone()),
            ..self.new_program(model)
        }
    }

    fn new_program(&mut self, model: &Model) -> New {
        let (run_id, priority) = self.name();
        let number = self.one_of(&[1, 1, 2, 2, 3]);
        let jobs = (0..number).map(|_| {
            let job = self.rng.usize(..JOBS.len() * 2 - 1);
            // One in nine is unknown.
            JOBS[job.min(2 * (JOBS.len() - 1)) / 2]
        });
        let jobs = jobs.collect();
        let far = self.one_of(&[Time::LongAgo, Time::Now, Time::Later]);
        let start = match self.rng.u8(..10) {
            0 => Start::At(far),
            1 => Start::After(self.one_of(&[Time::Now, Time::Later])),
            _ => Start::Now,
        };
        let parent = match self.by_chance(10) && !model.rows.is_empty() {
            true => {
                let row = &model.rows[self.rng.usize(..model.rows.len())];
                Some(row.run_id().clone())
            }
            false => None,
        };
        New {
            run_id,
            name: self.one_of(&[None, None, Some("named"), Some("other")]),
            queue: self.one_of(&QUEUES),
            jobs,
            program_data: value(&mut self.rng),
            job_data: object(&mut self.rng),
            attributes: object(&mut self.rng),
            priority,
            start,
            unique_key: self.one_of(&[None, None, None, Some("k"), Some("it's \"ü\""), Some("K")]),
            replace: self.rng.bool(),
            retry_after: self.one_of(&[None, None, Some(Time::Now), Some(Time::Later)]),
            parent,
        }
    }
}
