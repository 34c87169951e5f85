//! Which ended programs are old enough to go.

use std::time::Duration;

use super::ProgramState;

/// Which ended programs are deleted: [`Executor::prune`](crate::Executor::prune).
///
/// ```
/// use std::time::Duration;
/// use executor::{ProgramState, Prune};
///
/// const DAY: Duration = Duration::from_secs(24 * 3600);
/// let old_mails = Prune::older_than(7 * DAY).state(ProgramState::Finished).queue("mail");
/// # let _ = old_mails;
/// ```
#[derive(Clone, Debug)]
pub struct Prune {
    pub(crate) age: Duration,
    pub(crate) states: Vec<ProgramState>,
    pub(crate) queue: Option<String>,
}

impl Prune {
    /// Programs that ended longer ago than this, finished and errored ones of all queues.
    pub fn older_than(age: Duration) -> Self {
        Self {
            age,
            states: Vec::new(),
            queue: None,
        }
    }

    /// Only those that ended in this state. Unfinished programs are never pruned.
    pub fn state(mut self, state: ProgramState) -> Self {
        self.states.push(state);
        self
    }

    /// Only those of this queue.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// The terminal states that it is about.
    pub(crate) fn ends(&self) -> impl Iterator<Item = ProgramState> {
        let about = |state: &ProgramState| {
            state.is_terminal() && (self.states.is_empty() || self.states.contains(state))
        };
        ProgramState::ALL.into_iter().filter(about)
    }
}

impl From<Duration> for Prune {
    fn from(age: Duration) -> Self {
        Self::older_than(age)
    }
}

/// Programs of one queue that ended in one state, and longer ago than a time.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) state: ProgramState,
    pub(crate) queue: String,
    pub(crate) age: Duration,
}
