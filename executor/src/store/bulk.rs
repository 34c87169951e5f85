//! What is done to all programs that match.

use serde::Serialize;

use super::Filter;
use crate::run_id::RunId;

/// What can be done to all programs that match a [`Filter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BulkVerb {
    /// [`Executor::cancel_all`](crate::Executor::cancel_all), which is for unfinished ones.
    Cancel,
    /// [`Executor::retry_all`](crate::Executor::retry_all), which is for errored ones.
    Retry,
    /// [`Executor::delete_all`](crate::Executor::delete_all), which is for all.
    Delete,
}

/// What came of a verb that was for many programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// To how many programs it was done.
    pub done: usize,
    /// How many refused it, and are as they were: of a retry, those whose unique key another program
    /// has by now.
    pub refused: usize,
}

/// A verb, and the programs that it is for.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    pub(crate) verb: BulkVerb,
    pub(crate) filter: Filter,
}

/// What was done in one batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The row up to which the programs were looked at; `None`: to the end.
    pub(crate) floor: Option<i64>,
    pub(crate) done: usize,
    pub(crate) refused: usize,
    /// Programs that are to be served one by one: their unique key may be taken.
    pub(crate) one_by_one: Vec<RunId>,
}
