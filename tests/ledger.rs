//! What jobs did, seen from outside: a file to which each process appends a line an event.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use executor::{Context, RunId};

/// Names the ledger's file to a worker process.
pub(crate) const LEDGER: &str = "TEST_LEDGER";

/// Appends an event of a running job; it is in the file when this returns, whatever happens to the
/// process then.
///
/// # Panics
/// The file cannot be written to, or the process was started without one.
pub fn note(what: &str, ctx: &Context, number: u32) {
    let path = std::env::var_os(LEDGER).expect("the process has a ledger");
    let (run_id, step, pid) = (ctx.run_id(), ctx.step(), std::process::id());
    let line = format!("{what} {run_id} {step} {pid} {number}\n");
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("a ledger");
    file.write_all(line.as_bytes())
        .expect("a line in the ledger");
}

/// One line of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What happened: `start`, `end`, `saved`, …
    pub what: String,
    /// The program.
    pub run_id: RunId,
    /// Its step.
    pub step: usize,
    /// The process that ran it.
    pub pid: u32,
    /// A number of the job's own, like the page it starts from.
    pub number: u32,
}

/// The ledger of the worker processes of one store.
#[derive(Clone, Debug)]
pub struct Ledger(PathBuf);

impl Ledger {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self(folder.join("ledger"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Notes that a worker process was killed, and has ended.
    ///
    /// # Panics
    /// The file cannot be written to.
    pub fn killed(&self, pid: u32, number: u32) {
        let line = format!("killed none 0 {pid} {number}\n");
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.0)
            .expect("a ledger");
        file.write_all(line.as_bytes())
            .expect("a line in the ledger");
    }

    /// All that was written so far, in order.
    ///
    /// # Panics
    /// A line is none of ours.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        text.lines()
            .map(|line| read(line).unwrap_or_else(|| panic!("no entry: {line:?}")))
            .collect()
    }

    /// What was written of one kind, in order.
    #[must_use]
    pub fn of(&self, what: &str) -> Vec<Entry> {
        self.entries()
            .into_iter()
            .filter(|entry| entry.what == what)
            .collect()
    }

    /// How many entries there are of one kind.
    #[must_use]
    pub fn count(&self, what: &str) -> usize {
        self.of(what).len()
    }
}

fn read(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    Some(Entry {
        what: words.next()?.to_owned(),
        run_id: words.next()?.into(),
        step: words.next()?.parse().ok()?,
        pid: words.next()?.parse().ok()?,
        number: words.next()?.parse().ok()?,
    })
}
