//! Which arrow a program takes after an attempt: one pure function over plain values.

use std::time::Duration;

use crate::{
    job::{Awaited, Reason},
    retry::RetryPolicy,
    store::{Change, Failure, NewProgram},
};

/// Why a body was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The program was stopped from outside.
    Stopped,
    /// Another claim has the program.
    LeaseLost,
    /// The lease can no longer be counted on, and the job is strict about that.
    LeaseUncertain,
    TimedOut(Duration),
    Shutdown,
}

/// Where the program is.
pub(super) struct At<'a> {
    pub(super) step: usize,
    pub(super) job: &'a str,
    /// The job after this one.
    pub(super) next: Option<&'a str>,
    pub(super) retried: u32,
    pub(super) policy: RetryPolicy,
    /// The key of the job's data and output.
    pub(super) key: &'a str,
    /// How soon it comes again when it goes back to the queue and nothing has failed.
    pub(super) again: Duration,
}

/// Who has a program after a step that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onward {
    /// The next step runs under the same claim.
    Keep,
    /// Whoever claims it from the store.
    Release,
    /// Whoever hears the broker, which is shared with another system.
    HandOver,
}

/// What is to be written, and told.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) change: Change,
    pub(super) tell: Tell,
}

/// What people are told of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tell {
    Nothing,
    /// The step is done.
    Done,
    Retry {
        message: String,
        after: Duration,
    },
    /// An error that is worth an alert.
    Error(String),
    /// An error that its job has called ignorable.
    Quiet(String),
}

/// The arrow after a step that succeeded; `outputs` where they have changed.
pub(super) fn succeeded(at: &At<'_>, outputs: Option<String>, onward: Onward) -> Decision {
    let change = match (at.next.map(str::to_owned), onward) {
        (None, _) => Change::Finish { outputs },
        (Some(next), Onward::Keep) => Change::Advance { next, outputs },
        (Some(next), Onward::Release) => Change::AdvanceAndRelease { next, outputs },
        (Some(next), Onward::HandOver) => Change::AdvanceAndHandOver { next, outputs },
    };
    Decision {
        change,
        tell: Tell::Done,
    }
}

/// The arrow after an attempt that did not succeed; `None`: the claim is lost, and nothing of this
/// attempt counts.
pub(super) fn ended(at: &At<'_>, reason: Reason) -> Option<Decision> {
    let quietly = |change| {
        Some(Decision {
            change,
            tell: Tell::Nothing,
        })
    };
    match reason {
        Reason::Retry { error, after } => {
            let message = text(&Reason::Fatal(error));
            Some(retried(at, message, after))
        }
        Reason::TimedOut(limit) => Some(retried(at, text(&Reason::TimedOut(limit)), None)),
        Reason::Ignore(error) => {
            let message = text(&Reason::Fatal(error));
            let change = Change::Fail {
                failure: failure(at, message.clone()),
            };
            Some(Decision {
                change,
                tell: Tell::Quiet(message),
            })
        }
        Reason::Snooze(after) => quietly(Change::Snooze { after }),
        Reason::Checkpoint => quietly(Change::Snooze { after: at.again }),
        Reason::HandOff => quietly(Change::HandOff {
            key: at.key.to_owned(),
            next: at.next.map(str::to_owned),
        }),
        Reason::StartAndWait(child) => {
            let Awaited {
                run_id,
                program,
                parent,
            } = *child;
            quietly(Change::Await {
                child: Box::new(NewProgram {
                    run_id,
                    program,
                    parent: Some(parent),
                }),
                key: at.key.to_owned(),
                next: at.next.map(str::to_owned),
            })
        }
        // What could not be stored was not done: the step runs again.
        Reason::Cancelled | Reason::Store(_) => quietly(Change::GiveBack),
        Reason::LeaseLost => None,
        fatal @ (Reason::Unclassified(_) | Reason::Fatal(_) | Reason::Panicked(_)) => {
            Some(failed(at, text(&fatal)))
        }
    }
}

/// The arrow after a body that was asked to end and did not return a result of its own.
pub(super) fn interrupted(cause: Cause) -> Reason {
    match cause {
        Cause::TimedOut(limit) => Reason::TimedOut(limit),
        Cause::LeaseLost => Reason::LeaseLost,
        Cause::Stopped | Cause::Shutdown | Cause::LeaseUncertain => Reason::Cancelled,
    }
}

/// The arrow into an error that ends the program.
pub(super) fn failed(at: &At<'_>, message: String) -> Decision {
    let change = Change::Fail {
        failure: failure(at, message.clone()),
    };
    Decision {
        change,
        tell: Tell::Error(message),
    }
}

fn retried(at: &At<'_>, message: String, after: Option<Duration>) -> Decision {
    // A delay of the job's own is kept to the maximum of retries like any other.
    let Some(delay) = at.policy.delay(at.retried) else {
        return failed(at, format!("{message} (after {} retries)", at.retried));
    };
    let after = after.unwrap_or(delay);
    let change = Change::Retry {
        failure: failure(at, message.clone()),
        after,
    };
    Decision {
        change,
        tell: Tell::Retry { message, after },
    }
}

fn failure(at: &At<'_>, message: String) -> Failure {
    Failure {
        step: at.step,
        job: at.job.to_owned(),
        attempt: at.retried + 1,
        message,
    }
}

/// The message, cut to what a row should hold.
fn text(reason: &Reason) -> String {
    const LONGEST: usize = 16 << 10;
    // Not every store can hold the character U+0000.
    let mut text = reason.to_string().replace('\0', "\u{fffd}");
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str(" … (cut)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: Option<&'static str>, retried: u32) -> At<'static> {
        let policy = RetryPolicy::new(2, Duration::from_secs(1), Duration::from_secs(1));
        At {
            step: 1,
            job: "b",
            next,
            retried,
            policy,
            key: "b",
            again: Duration::ZERO,
        }
    }

    fn change(reason: Reason, retried: u32) -> Change {
        ended(&at(None, retried), reason).expect("an arrow").change
    }

    #[test]
    fn success_goes_on_or_finishes() {
        let change = succeeded(&at(Some("c"), 0), None, Onward::Keep).change;
        assert!(matches!(change, Change::Advance { next, .. } if next == "c"));
        let change = succeeded(&at(Some("c"), 0), None, Onward::Release).change;
        assert!(matches!(change, Change::AdvanceAndRelease { .. }));
        assert!(matches!(
            succeeded(&at(None, 0), None, Onward::HandOver).change,
            Change::Finish { .. }
        ));
    }

    #[test]
    fn retries_end_at_their_maximum() {
        let retry = |after| Reason::Retry {
            error: "busy".into(),
            after,
        };
        let Change::Retry { failure, after } = change(retry(None), 1) else {
            panic!("no retry")
        };
        assert_eq!((failure.attempt, failure.message.as_str()), (2, "busy"));
        assert!(after <= Duration::from_secs(1));
        let own = Some(Duration::from_secs(60));
        assert!(matches!(change(retry(own), 1), Change::Retry { after, .. } if Some(after) == own));
        let Change::Fail { failure } = change(retry(own), 2) else {
            panic!("no end")
        };
        assert_eq!(failure.message, "busy (after 2 retries)");
    }

    #[test]
    fn each_way_to_end_has_its_arrow() {
        assert!(matches!(
            change(Reason::Fatal("x".into()), 0),
            Change::Fail { .. }
        ));
        assert!(matches!(
            change(Reason::Panicked("x".into()), 0),
            Change::Fail { .. }
        ));
        assert!(matches!(
            change(Reason::TimedOut(Duration::ZERO), 0),
            Change::Retry { .. }
        ));
        assert!(
            matches!(change(Reason::Checkpoint, 0), Change::Snooze { after } if after.is_zero())
        );
        assert!(matches!(
            change(Reason::HandOff, 0),
            Change::HandOff { next: None, .. }
        ));
        assert!(matches!(change(Reason::Cancelled, 0), Change::GiveBack));
        assert!(ended(&at(None, 0), Reason::LeaseLost).is_none());
        let quiet = ended(&at(None, 0), Reason::Ignore("x".into())).expect("an arrow");
        assert_eq!(quiet.tell, Tell::Quiet("x".to_owned()));
        assert!(matches!(quiet.change, Change::Fail { .. }));
    }

    #[test]
    fn a_huge_error_is_cut_at_a_whole_character() {
        let Change::Fail { failure } = change(Reason::Fatal("é".repeat(1 << 20).into()), 0) else {
            panic!("no end")
        };
        assert!(failure.message.len() < 17 << 10 && failure.message.ends_with("(cut)"));
    }
}
