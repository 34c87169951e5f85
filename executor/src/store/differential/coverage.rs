//! What has happened over all sequences, and what must have.

use std::collections::BTreeMap;

use super::operation::{Answer, Operation};
use crate::RunId;

#[derive(Default)]
pub(super) struct Coverage(pub(super) BTreeMap<String, usize>);

impl Coverage {
    pub(super) fn note(&mut self, operation: &Operation, answer: &Answer) {
        let name = operation.name();
        match (operation, answer) {
            (_, Answer::Created(created)) => {
                for (_, existed) in created {
                    self.count(match existed {
                        true => "create: the key is taken",
                        false => "create: stored",
                    });
                }
            }
            (
                _,
                Answer::Claimed {
                    programs, killed, ..
                },
            ) => {
                let some = [
                    (programs.is_empty(), "programs"),
                    (killed.is_empty(), "killed"),
                ];
                for (none, what) in some {
                    let some = if none { "no" } else { "some" };
                    self.count(&format!("claim → {some} {what}"));
                }
            }
            (Operation::Commit(writes), Answer::Written(written)) => {
                for (write, written) in writes.iter().zip(written) {
                    self.count(&format!("{} → {written:?}", write.arrow.name()));
                }
            }
            (Operation::CommitIn { created, .. }, Answer::Written(written)) => {
                let creates = match created.is_empty() {
                    true => "",
                    false => " with create_in",
                };
                self.count(&format!("{name}{creates} → {:?}", written[0]));
            }
            (_, Answer::WasWritten(written)) => self.count(&format!("{name} → {written:?}")),
            (_, Answer::Pulses(pulses)) => {
                for pulse in pulses {
                    self.count(&format!("{name} → {pulse:?}"));
                }
            }
            (_, Answer::Many(0)) => self.count(&format!("{name} → none")),
            (_, Answer::Many(_)) => self.count(&format!("{name} → some")),
            (_, Answer::Done(done)) => self.count(&format!("{name} → {done}")),
            (_, Answer::Refused(_, why)) => {
                // A run id in it is that of a key's holder.
                let is_holder = operation.name() == "retry" && !why.contains("only");
                let why = if is_holder { "the key is taken" } else { why };
                let why = why.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
                self.count(&format!("{name} → refused: {why}"));
            }
            (operation, answer) => unreachable!("{answer:?} to {operation:?}"),
        }
    }

    pub(super) fn add(&mut self, happened: BTreeMap<String, usize>) {
        for (what, number) in happened {
            *self.0.entry(what).or_default() += number;
        }
    }

    fn count(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }

    /// What should have happened and never did.
    pub(super) fn missing(&self) -> Vec<String> {
        let arrows = ARROWS
            .iter()
            .flat_map(|arrow| TO_EACH_ARROW.map(|what| format!("{arrow}{what}")));
        let verbs = VERBS
            .iter()
            .flat_map(|verb| ["true", "false"].map(|done| format!("{verb} → {done}")));
        let others = OTHERS.iter().map(|what| (*what).to_owned());
        let all = arrows.chain(verbs).chain(others);
        all.filter(|what| !self.0.contains_key(what)).collect()
    }
}

/// The programs that an operation is about.
pub(super) fn touches(operation: &Operation) -> Vec<RunId> {
    match operation {
        Operation::Create(programs) => programs.iter().map(|new| new.run_id.clone()).collect(),
        Operation::Commit(writes) | Operation::CommitIn { writes, .. } => writes
            .iter()
            .map(|write| write.ticket.run_id.clone())
            .collect(),
        Operation::Heartbeat { held, .. } => held.iter().map(|held| held.run_id.clone()).collect(),
        Operation::Cancel(run_id, _)
        | Operation::Retry(run_id)
        | Operation::Delete(run_id)
        | Operation::HandOff(run_id)
        | Operation::Reschedule(run_id, _)
        | Operation::SetAttributes(run_id, _)
        | Operation::SetRetryAfter(run_id, _) => vec![run_id.clone()],
        Operation::Complete(about, _) | Operation::Fail(about, _) => {
            vec![about.run_id().clone()]
        }
        Operation::WasWritten(ticket) => vec![ticket.run_id.clone()],
        Operation::Claim(_)
        | Operation::SetPaused(..)
        | Operation::Prune(..)
        | Operation::Bulk(..)
        | Operation::Register(_)
        | Operation::Deregister(_) => Vec::new(),
    }
}

/// What must happen to each arrow.
const ARROWS: [&str; 9] = [
    "Save",
    "Advance",
    "AdvanceAndRelease",
    "Finish",
    "Retry",
    "Fail",
    "Snooze",
    "HandOff",
    "GiveBack",
];
const TO_EACH_ARROW: [&str; 7] = [
    " → Committed",
    " → LeaseLost",
    " → Stopped",
    ": straight",
    ": sent again",
    ": the lease was over",
    ": on a stopped program",
];

/// What must happen to each verb over one program.
const VERBS: [&str; 9] = [
    "cancel",
    "retry",
    "complete",
    "fail",
    "hand_off",
    "reschedule",
    "delete",
    "set_attributes",
    "set_retry_after",
];

/// What else must happen.
const OTHERS: [&str; 76] = [
    "create: stored",
    "create: the key is taken",
    "create: the one that waits is replaced",
    "create: the one that has begun stays",
    "claim → no programs",
    "claim → some programs",
    "claim → no killed",
    "claim → some killed",
    "claim: a delay is over",
    "claim: a hand-off comes back",
    "claim: a lease is over",
    "claim: our own lease is renewed",
    "claim: the last crash",
    "claim: what a dead worker had",
    "claim: a step that has started children",
    "claim: more is due than was taken",
    "Save: late",
    "Advance: late",
    "Advance → Released",
    "HandOff: a report came before",
    "a body that was waited for has ended",
    "a child is stored",
    "a child is there already",
    "a child's key is taken",
    "a child is discarded",
    "commit_in → Committed",
    "commit_in → Released",
    "commit_in → Stopped",
    "commit_in → LeaseLost",
    "commit_in with create_in → Committed",
    "commit_in with create_in → LeaseLost",
    "was_written → None",
    "was_written → Some(Committed)",
    "was_written → Some(Stopped)",
    "heartbeat → Alive",
    "heartbeat → Stopped",
    "heartbeat → Lost",
    "cancel: it ran",
    "cancel: it did not run",
    "cancel → refused: has finished",
    "cancel → refused: has ended as errored",
    "retry: at once",
    "retry: its body is waited for",
    "retry: all its steps are done",
    "retry → refused: the key is taken",
    "retry → refused: only an errored program can be retried",
    "complete: kept while the job runs",
    "complete: a step",
    "complete: the last step",
    "complete: the re-run is fenced",
    "complete → refused: has finished",
    "complete → refused: has ended as errored",
    "complete → refused: is at step",
    "complete → refused: needs the hand-off token",
    "complete → refused: has been completed",
    "fail → refused: has finished",
    "fail → refused: has ended as errored",
    "fail → refused: is at step",
    "fail → refused: needs the hand-off token",
    "fail → refused: has been completed",
    "hand_off: it waits",
    "hand_off: a report came before",
    "hand_off → refused: has finished",
    "reschedule: as asked",
    "reschedule: its body is waited for",
    "reschedule → refused: has finished",
    "set_retry_after: for later",
    "set_retry_after: it waits, and the time counts from now on",
    "set_paused → true",
    "set_paused → false",
    "prune → some",
    "prune → none",
    "cancel_all → some",
    "retry_all → some",
    "delete_all → some",
    "deregister → true",
];
