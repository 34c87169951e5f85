//! Programs that wait for the end of others.

use crate::run_id::RunId;

/// Which waits are looked at.
#[derive(Clone, Debug)]
pub(crate) enum Waits {
    /// For the end of one of these.
    For(Vec<RunId>),
    /// All, page by page: from this program's row on.
    From(i64),
}

/// What the waits came to.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) resumed: Vec<Resumed>,
    /// From which row on the next page is; `None`: this was the last one.
    pub(crate) next: Option<i64>,
}

/// A program whose wait is over.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) run_id: RunId,
    pub(crate) step: usize,
    pub(crate) job: String,
    pub(crate) attempt: u32,
    /// Why its step has failed; `None`: it is done.
    pub(crate) failure: Option<String>,
    /// Whether it was the last step.
    pub(crate) last: bool,
}
