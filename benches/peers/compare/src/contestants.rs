use std::path::PathBuf;

use contest::{Part, Result};

/// One row of the table.
pub(crate) struct Contestant {
    /// As the table, `--only` and the database's name say it.
    pub(crate) name: &'static str,
    /// Of the program beside this one.
    binary: &'static str,
    pub(crate) arguments: &'static [&'static str],
    /// Whether it is a peer: the ratios are to the best of those.
    pub(crate) peer: bool,
    /// The most programs that it gets, so that no part lasts much longer than 20 s.
    at_most: &'static [(Part, usize)],
    /// What must be known to read its figures.
    remarks: &'static [(Part, &'static str)],
}

pub(crate) const CONTESTANTS: &[Contestant] = &[
    Contestant {
        name: "executor, 50 slots",
        binary: "contest-executor",
        arguments: &["--slots", "50"],
        peer: false,
        at_most: &[],
        remarks: &[],
    },
    Contestant {
        name: "executor, 1000 slots",
        binary: "contest-executor",
        arguments: &["--slots", "1000"],
        peer: false,
        at_most: &[],
        remarks: &[],
    },
    Contestant {
        name: "graphile_worker",
        binary: "contest-graphile-worker",
        arguments: &[],
        peer: true,
        at_most: &[],
        remarks: &[(
            Part::Drain1,
            "rows are deleted; a slot is free before its job's end is durable",
        )],
    },
    Contestant {
        name: "apalis",
        binary: "contest-apalis",
        arguments: &[],
        peer: true,
        at_most: &[(Part::Drain2, 10_000)],
        remarks: &[],
    },
    Contestant {
        name: "underway",
        binary: "contest-underway",
        arguments: &[],
        peer: true,
        at_most: &[(Part::Drain1, 3_000), (Part::Drain2, 1_500)],
        remarks: &[],
    },
    Contestant {
        name: "dbos",
        binary: "contest-dbos",
        arguments: &[],
        peer: true,
        at_most: &[(Part::Drain1, 5_000), (Part::Drain2, 5_000)],
        remarks: &[
            (
                Part::Bulk,
                "by its SQL function; the crate creates one at a time",
            ),
            (
                Part::Latency,
                "run where it is created; through its queue it takes up to a look's interval",
            ),
        ],
    },
];

/// One commit each, and nobody can share it: more of them only take longer.
const ONE_BY_ONE: usize = 5_000;
const LATENCIES: usize = 200;

impl Contestant {
    /// How many programs it gets of `count`.
    pub(crate) fn count(&self, part: Part, count: usize) -> usize {
        let most = match part {
            Part::Latency => LATENCIES,
            Part::OneByOne => ONE_BY_ONE,
            _ => of(self.at_most, part).unwrap_or(usize::MAX),
        };
        count.min(most)
    }

    pub(crate) fn remark(&self, part: Part) -> Option<&'static str> {
        of(self.remarks, part)
    }

    pub(crate) fn path(&self) -> Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name(self.binary))
    }
}

fn of<T: Copy>(parts: &[(Part, T)], wanted: Part) -> Option<T> {
    let found = parts.iter().find(|(part, _)| *part == wanted);
    found.map(|(_, value)| *value)
}

/// Those that `--only` names, or all that are built.
pub(crate) fn chosen(only: &[String]) -> Result<Vec<&'static Contestant>> {
    for name in only {
        if !CONTESTANTS.iter().any(|known| matches(known, name)) {
            let known: Vec<_> = CONTESTANTS.iter().map(|known| known.name).collect();
            return Err(format!("no contestant is called {name:?}; there are {known:?}").into());
        }
    }
    let mut chosen = Vec::new();
    for contestant in CONTESTANTS {
        let named = only.iter().any(|name| matches(contestant, name));
        let built = contestant.path()?.exists();
        if named && !built {
            return Err(format!("{} is not built", contestant.binary).into());
        }
        if named || (only.is_empty() && built) {
            chosen.push(contestant);
        }
    }
    if chosen.is_empty() {
        return Err("no contestant is built: run `cargo build --release`".into());
    }
    Ok(chosen)
}

/// A contestant's rows go by its name alone: `executor` has two.
fn matches(contestant: &Contestant, name: &str) -> bool {
    contestant.name.split(',').next() == Some(name)
}
