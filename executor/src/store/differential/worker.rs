//! What workers do in the model, behind their fences (SEMANTICS §1).

use serde_json::Value;

use super::{
    model::{Model, Row},
    operation::{Answer, Arrow, New, Ticket, Time, Write},
};
use crate::store::{Pulse, WorkerId, Written};

impl Model {
    pub(super) fn write(&mut self, write: &Write) -> Written {
        let written = self.arrow(write);
        // Children of an attempt that failed are discarded (§1.6).
        let discards = matches!(
            write.arrow,
            Arrow::Retry { .. } | Arrow::Fail { .. } | Arrow::GiveBack
        );
        if written == Written::LeaseLost || discards {
            if !write.children.is_empty() {
                self.happens("a child is discarded");
            }
            return written;
        }
        for child in &write.children {
            let what = if self.row(&child.run_id).is_some() {
                "a child is there already"
            } else if self.create(child).1 {
                "a child's key is taken"
            } else {
                "a child is stored"
            };
            self.happens(what);
        }
        written
    }

    fn arrow(&mut self, write: &Write) -> Written {
        let fence = &write.ticket;
        let name = write.arrow.name();
        let queue = self.row(&fence.run_id).map(|row| row.new.queue);
        let is_paused = queue.is_some_and(|queue| self.paused.contains(queue));
        let Some(row) = self.row_mut(&fence.run_id) else {
            return Written::LeaseLost;
        };
        if row.token != fence.token {
            let body_has_ended = !matches!(write.arrow, Arrow::Save { .. });
            // Whose claim was before the last one that is gone, nobody knows.
            if body_has_ended && row.token == fence.token + 1 && row.let_go() {
                self.happens("a body that was waited for has ended");
            }
            return Written::LeaseLost;
        }
        let (written, what) = if row.rev == fence.rev + 1 {
            let written = match row.errored {
                true => Written::Stopped,
                false => Written::Committed,
            };
            (written, "sent again")
        } else if row.rev != fence.rev {
            (Written::LeaseLost, "late")
        } else if row.ended() {
            row.record_on_stopped(write);
            (Written::Stopped, "on a stopped program")
        } else {
            let was_ready = row.ready;
            let what = match row.take_arrow(write) {
                true => "a report came before",
                false if was_ready => "the lease was over",
                false => "straight",
            };
            (Written::Committed, what)
        };
        let goes_on = matches!(write.arrow, Arrow::Advance { .. });
        let released = written == Written::Committed && goes_on && is_paused;
        if released {
            row.release();
        }
        self.happens(format!("{name}: {what}"));
        match released {
            true => Written::Released,
            false => written,
        }
    }

    /// Both, or nothing (SEMANTICS §1.5).
    pub(super) fn commit_in(&mut self, created: &[New], writes: &[Write]) -> Answer {
        let mut after = self.clone();
        after.next_batch();
        for new in created {
            after.create(new);
        }
        after.next_batch();
        let mut written = Written::LeaseLost;
        for write in writes {
            written = after.write(write);
            if written == Written::LeaseLost {
                break;
            }
        }
        if written != Written::LeaseLost {
            *self = after;
        }
        Answer::Written(vec![written])
    }

    pub(super) fn was_written(&self, ticket: &Ticket) -> Option<Written> {
        let row = self.row(&ticket.run_id)?;
        let applied = row.token == ticket.token && row.rev == ticket.rev + 1;
        applied.then_some(match row.errored {
            true => Written::Stopped,
            false => Written::Committed,
        })
    }

    /// A renewal under an unchanged token is valid even after the lease's end (§2.4).
    pub(super) fn pulse(&mut self, worker: WorkerId, held: &Ticket) -> Pulse {
        let row = self.row_mut(&held.run_id);
        let is_held =
            |row: &&mut Row| row.token == held.token && row.worker == Some(worker) && !row.finished;
        let Some(row) = row.filter(is_held) else {
            return Pulse::Lost;
        };
        row.ready = false;
        row.lease = Some(Time::LeaseEnd);
        match row.errored {
            true => Pulse::Stopped,
            false => Pulse::Alive,
        }
    }
}

impl Row {
    /// What a worker writes; whether a report that had come before made it the end of the step.
    fn take_arrow(&mut self, write: &Write) -> bool {
        let goes_on = matches!(write.arrow, Arrow::Save { .. } | Arrow::Advance { .. });
        self.rev += 1;
        if !goes_on {
            self.ends_claim();
        } else if std::mem::take(&mut self.ready) {
            // The lease had run out, and nobody has taken the program: it is ours again.
            self.lease = Some(Time::LeaseEnd);
        }
        match &write.arrow {
            Arrow::Save { job_data } => {
                self.crashes = 0;
                self.job_data = job_data.clone();
                self.ordinal = write.ordinal;
            }
            Arrow::Advance { outputs, .. }
            | Arrow::AdvanceAndRelease { outputs, .. }
            | Arrow::Finish { outputs } => {
                self.next_step();
                self.outputs = outputs.clone().unwrap_or(self.outputs.take());
                if matches!(write.arrow, Arrow::AdvanceAndRelease { .. }) {
                    self.release();
                }
                self.finished = matches!(write.arrow, Arrow::Finish { .. });
            }
            Arrow::Retry { failed, after } => {
                self.crashes = 0;
                self.retries += 1;
                self.message = Some(failed.message.clone());
                self.note(failed);
                self.available_at = Some(*after);
            }
            Arrow::Fail { failed } => {
                self.errored = true;
                self.message = Some(failed.message.clone());
                self.note(failed);
            }
            Arrow::Snooze { after } => {
                self.crashes = 0;
                self.ordinal = write.ordinal;
                self.available_at = Some(*after);
            }
            Arrow::HandOff { .. } => match self.reported.take() {
                // Its body has ended by itself: nothing is waited for.
                Some(report) => {
                    self.token += 1;
                    self.step_done(report.as_ref());
                    return true;
                }
                None => {
                    self.crashes = 0;
                    self.ordinal = write.ordinal;
                    self.waits();
                }
            },
            // It stands where it stood.
            Arrow::GiveBack => self.ready = true,
        }
        false
    }

    /// A step that ends on a stopped program is recorded, and starts nothing (SEMANTICS §3.1).
    fn record_on_stopped(&mut self, write: &Write) {
        self.rev += 1;
        match &write.arrow {
            Arrow::Save { job_data } => {
                self.job_data = job_data.clone();
                self.ordinal = write.ordinal;
                return;
            }
            Arrow::Advance { outputs, .. }
            | Arrow::AdvanceAndRelease { outputs, .. }
            | Arrow::Finish { outputs } => {
                // A report that came before is of no use to anybody: the step is done.
                self.next_step();
                self.outputs = outputs.clone().unwrap_or(self.outputs.take());
            }
            _ => {}
        }
        self.ends_claim();
    }

    /// The body of the claim before has ended: nothing need wait for it.
    fn let_go(&mut self) -> bool {
        if self.lease.is_some() {
            return false;
        }
        let was_waited_for =
            self.available_at == self.busy && self.busy > Some(Time::Now) && !self.waiting;
        if was_waited_for {
            self.available_at = Some(Time::Now);
        }
        self.busy = None;
        was_waited_for
    }

    pub(super) fn release(&mut self) {
        self.ends_claim();
        self.ready = true;
        self.available_at = Some(Time::Now);
        self.order = Time::Now;
    }

    pub(super) fn next_step(&mut self) {
        self.step += 1;
        self.retries = 0;
        self.crashes = 0;
        self.ordinal = 0;
        self.reported = None;
    }

    pub(super) fn ends_claim(&mut self) {
        self.lease = None;
        self.worker = None;
        self.ready = false;
    }

    pub(super) fn waits(&mut self) {
        self.waiting = true;
        self.available_at = self.retry_after;
    }

    /// The step is done by somebody outside.
    pub(super) fn step_done(&mut self, output: Option<&Value>) {
        if let (Some(output), Value::Object(outputs)) = (output, &mut self.outputs)
            && !output.is_null()
        {
            let key = crate::job::data_key(&self.new.jobs, self.step);
            outputs.insert(key, output.clone());
        }
        self.next_step();
        self.waiting = false;
        self.release();
        if self.job().is_none() {
            self.ready = false;
            self.finished = true;
        }
    }
}
