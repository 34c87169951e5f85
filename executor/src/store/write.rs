//! Writes of running programs, and what becomes of them.

use std::time::Duration;

use super::NewProgram;

/// What every write of a running program carries (SEMANTICS §1.1): refused when another claim has
/// taken the program, and when this very write was applied before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) id: i64,
    pub(crate) token: i64,
    pub(crate) rev: i64,
}

/// One write of a running program.
#[derive(Debug)]
pub(crate) struct StepWrite {
    pub(crate) fence: Fence,
    pub(crate) change: Change,
    /// Programs that the job has started since the last write.
    pub(crate) children: Vec<NewProgram>,
    /// How many children the step has started in all, when they are to be remembered.
    pub(crate) ordinal: u32,
    /// What a lease that had run out is extended to, when nobody has taken the program.
    pub(crate) lease: Duration,
}

impl StepWrite {
    /// About how much it adds to a commit.
    pub(crate) fn bytes(&self) -> usize {
        let change = match &self.change {
            Change::Save { job_data } => job_data.len(),
            Change::Advance { outputs, .. }
            | Change::AdvanceAndRelease { outputs, .. }
            | Change::AdvanceAndHandOver { outputs, .. }
            | Change::Finish { outputs } => outputs.as_ref().map_or(0, String::len),
            Change::Retry { failure, .. } | Change::Fail { failure } => failure.message.len(),
            Change::Snooze { .. }
            | Change::HandOff { .. }
            | Change::Await { .. }
            | Change::GiveBack
            | Change::HandOver
            | Change::HandedOver => 0,
        };
        let children = self
            .all_children()
            .map(|child| child.program.program_data.len() + child.program.job_data.len());
        change + children.sum::<usize>()
    }

    /// The child whose end the program then waits for.
    pub(crate) fn awaits(&self) -> Option<&NewProgram> {
        match &self.change {
            Change::Await { child, .. } => Some(child),
            _ => None,
        }
    }

    fn all_children(&self) -> impl Iterator<Item = &NewProgram> {
        self.children.iter().chain(self.awaits())
    }

    /// After which time it makes the program due by itself, where it does.
    #[cfg(feature = "server")]
    pub(super) fn due_after(&self) -> Option<Duration> {
        match &self.change {
            Change::Retry { after, .. } | Change::Snooze { after } => Some(*after),
            // The row says after which time a hand-off comes back.
            Change::HandOff { .. } => Some(Duration::ZERO),
            _ => None,
        }
    }

    /// The values that a database might not be able to hold: JSON, and plain texts.
    #[cfg(feature = "server")]
    pub(super) fn texts<'a>(&'a self, json: &mut Vec<&'a str>, texts: &mut Vec<&'a str>) {
        match &self.change {
            Change::Save { job_data } => json.push(job_data),
            Change::Advance { outputs, .. }
            | Change::AdvanceAndRelease { outputs, .. }
            | Change::AdvanceAndHandOver { outputs, .. }
            | Change::Finish { outputs } => json.extend(outputs.as_deref()),
            Change::Retry { failure, .. } | Change::Fail { failure } => {
                texts.push(&failure.message);
            }
            Change::Snooze { .. }
            | Change::HandOff { .. }
            | Change::Await { .. }
            | Change::GiveBack
            | Change::HandOver
            | Change::HandedOver => {}
        }
        for child in self.all_children() {
            let program = &child.program;
            json.extend([
                &*program.program_data,
                &*program.job_data,
                &*program.attributes,
            ]);
        }
    }
}

/// The arrows that a worker can take (the chart is in ARCHITECTURE.md).
#[derive(Debug)]
pub(crate) enum Change {
    /// Progress within a step.
    Save { job_data: String },
    /// The step is done, the next begins under the same claim.
    Advance {
        next: String,
        outputs: Option<String>,
    },
    /// The step is done, and any worker may take the next.
    AdvanceAndRelease {
        next: String,
        outputs: Option<String>,
    },
    /// The last step is done.
    Finish { outputs: Option<String> },
    /// The step failed and runs again.
    Retry { failure: Failure, after: Duration },
    /// The step failed for good.
    Fail { failure: Failure },
    /// The step runs again, and nothing failed.
    Snooze { after: Duration },
    /// The step waits for a completion from outside.
    HandOff { key: String, next: Option<String> },
    /// The step waits for the end of a program that is started with it.
    Await {
        child: Box<NewProgram>,
        key: String,
        next: Option<String>,
    },
    /// The claim ends with nothing done.
    GiveBack,
    /// The step is done, and the next is about to be handed over to the broker: the claim holds until it
    /// has the message.
    AdvanceAndHandOver {
        next: String,
        outputs: Option<String>,
    },
    /// The same, with nothing done.
    HandOver,
    /// The broker has the message, and with it the program.
    HandedOver,
}

/// What is recorded of a failed attempt.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Failure {
    pub(crate) step: usize,
    pub(crate) job: String,
    pub(crate) attempt: u32,
    #[serde(rename = "error")]
    pub(crate) message: String,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is durable; the fence's revision is one higher now.
    Committed,
    /// It is durable, and the next step may not start under this claim: the queue was paused. Any
    /// worker may take the program when it is resumed.
    Released,
    /// It is recorded; the program was stopped from outside, and nothing more may start.
    Stopped,
    /// Another claim has the program: nothing was written.
    LeaseLost,
    /// The database cannot hold it: nothing was written.
    Refused(String),
}
