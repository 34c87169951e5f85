//! What the store is asked where program-executor's workers run programs of the same table.
//!
//! For them a message is the execution, and a row shows no claim (SEMANTICS §6). So each unfinished program
//! is either the broker's, `available_at` is NULL then, or the store's; and a message brings it from there
//! to here.

use std::time::Duration;

use crate::run_id::RunId;

/// A program that a message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) run_id: String,
    /// The queue that the message came from.
    pub(crate) queue: String,
    /// The jobs that are left of it.
    pub(crate) jobs: Vec<String>,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The program is the store's now, and available.
    Ours,
    /// A worker has the program: what the message says counts when that one has let go.
    Later,
    /// Some client holds the row locked; nothing was looked at.
    Locked,
    /// The message says nothing any more; why.
    Void(&'static str),
}

/// Which programs are adopted.
#[derive(Clone, Debug)]
pub(crate) struct Orphans {
    /// Those that nothing has happened to for so long.
    pub(crate) older_than: Duration,
    /// Of which queues; `default` is that of rows which name none.
    pub(crate) queues: Vec<String>,
    /// Whether to look only.
    pub(crate) dry_run: bool,
}

/// A batch of programs that were adopted.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) run_ids: Vec<RunId>,
    /// Behind which row there may be others.
    pub(crate) floor: Option<i64>,
}
