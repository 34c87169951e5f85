//! What people and other systems do in the model (SEMANTICS §3).

use serde_json::Value;

use super::{
    model::{Model, Row},
    operation::{About, Answer, New, Operation, Start, Time},
};
use crate::{
    ErrorKind, RunId,
    store::{BulkVerb, ProgramState},
};

impl Model {
    pub(super) fn control(&mut self, verb: &Operation) -> Answer {
        let run_id = match verb {
            Operation::Complete(about, _) | Operation::Fail(about, _) => about.run_id(),
            Operation::Cancel(run_id, _)
            | Operation::Retry(run_id)
            | Operation::Delete(run_id)
            | Operation::HandOff(run_id)
            | Operation::Reschedule(run_id, _)
            | Operation::SetAttributes(run_id, _)
            | Operation::SetRetryAfter(run_id, _) => run_id,
            other => unreachable!("{other:?} is no verb over one program"),
        };
        let holder = self
            .row(run_id)
            .and_then(|row| self.holder(row.new.unique_key));
        let holder = holder.cloned();
        let Some(row) = self.row_mut(run_id) else {
            return Answer::Done(false);
        };
        let what = match row.control(verb, holder) {
            Ok(what) => what,
            Err(refused) => return Answer::Refused(ErrorKind::Conflict, refused),
        };
        if matches!(verb, Operation::Delete(_)) {
            let run_id = run_id.clone();
            self.rows.retain(|row| *row.run_id() != run_id);
        }
        self.happens(format!("{}: {what}", verb.name()));
        Answer::Done(true)
    }

    pub(super) fn prune(&mut self, state: ProgramState, queue: &str) -> usize {
        let before = self.rows.len();
        self.rows
            .retain(|row| row.state() != state || row.new.queue != queue);
        before - self.rows.len()
    }

    pub(super) fn bulk(&mut self, verb: BulkVerb, queue: &str) -> usize {
        let before = self.rows.len();
        let rows = self.rows.iter_mut().filter(|row| row.new.queue == queue);
        match verb {
            BulkVerb::Cancel => {
                let unfinished = rows.filter(|row| !row.ended());
                let cancelled = unfinished.map(|row| {
                    row.errored = true;
                    row.message = Some("cancelled".to_owned());
                });
                cancelled.count()
            }
            BulkVerb::Retry => {
                let free = rows.filter(|row| row.new.unique_key.is_none());
                free.filter_map(|row| row.retry(None).ok()).count()
            }
            BulkVerb::Delete => {
                self.rows.retain(|row| row.new.queue != queue);
                before - self.rows.len()
            }
        }
    }
}

impl Row {
    /// Another program comes with its key, and is to take its place.
    pub(super) fn replace(&mut self, new: &New) -> &'static str {
        if self.step > 0 || self.lease.is_some() || self.waiting {
            return "create: the one that has begun stays";
        }
        let at = match new.start {
            Start::Now => Time::Now,
            Start::At(time) | Start::After(time) => time,
        };
        self.new = New {
            run_id: self.new.run_id.clone(),
            parent: self.new.parent.clone(),
            ..new.clone()
        };
        self.take_away();
        self.job_data = new.job_data.clone();
        self.attributes = new.attributes.clone();
        self.retry_after = new.retry_after;
        self.retries = 0;
        self.crashes = 0;
        self.reported = None;
        self.becomes_due(at);
        "create: the one that waits is replaced"
    }

    /// What it was, in words; or why it is refused.
    fn control(&mut self, verb: &Operation, holder: Option<RunId>) -> Result<&'static str, String> {
        match verb {
            Operation::Delete(_) => return Ok("it is gone"),
            Operation::SetAttributes(_, fields) => {
                merge(&mut self.attributes, fields);
                return Ok("merged");
            }
            Operation::SetRetryAfter(_, delay) => {
                self.retry_after = *delay;
                if !self.waiting {
                    return Ok("for later");
                }
                self.available_at = *delay;
                return Ok("it waits, and the time counts from now on");
            }
            Operation::Retry(_) => return self.retry(holder),
            _ => {}
        }
        if self.errored {
            return Err("has ended as errored".to_owned());
        }
        if self.finished {
            return Err("has finished".to_owned());
        }
        match verb {
            // A running job keeps its lease: it is cancelled at the next heartbeat.
            Operation::Cancel(_, message) => {
                self.errored = true;
                self.message = Some(message.clone());
                Ok(if self.lease.is_some() {
                    "it ran"
                } else {
                    "it did not run"
                })
            }
            Operation::Complete(about, output) => {
                self.is_about(about)?;
                Ok(self.complete(about, output.as_ref()))
            }
            Operation::Fail(about, message) => {
                self.is_about(about)?;
                self.take_away();
                self.errored = true;
                self.message = Some(message.clone());
                self.waiting = false;
                self.reported = None;
                Ok("failed")
            }
            Operation::HandOff(_) => {
                if let Some(report) = self.reported.take() {
                    // The report that came while the job ran is consumed by any hand-off.
                    self.take_away();
                    self.step_done(report.as_ref());
                    return Ok("a report came before");
                }
                self.take_away();
                self.waits();
                Ok("it waits")
            }
            Operation::Reschedule(_, at) => {
                self.take_away();
                self.waiting = false;
                Ok(match self.becomes_due(*at) {
                    true => "as asked",
                    false => "its body is waited for",
                })
            }
            other => unreachable!("{other:?} is no verb over one program"),
        }
    }

    /// From the failed step on (SEMANTICS §3.2).
    fn retry(&mut self, holder: Option<RunId>) -> Result<&'static str, String> {
        if !self.errored {
            return Err("only an errored program can be retried".to_owned());
        }
        if let Some(holder) = holder {
            return Err(holder.to_string());
        }
        self.errored = false;
        self.take_away();
        self.retries = 0;
        self.crashes = 0;
        self.reported = None;
        self.waiting = false;
        let at_once = self.becomes_due(Time::Now);
        Ok(match (self.job(), at_once) {
            (None, _) => {
                self.finished = true;
                "all its steps are done"
            }
            (_, true) => "at once",
            (_, false) => "its body is waited for",
        })
    }

    /// A report is for the step at which the program is; without the token only for programs of one
    /// job (SEMANTICS §3.3).
    fn is_about(&self, about: &About) -> Result<(), String> {
        match about {
            About::RunId(_) if self.new.jobs.len() != 1 => {
                Err("needs the hand-off token".to_owned())
            }
            About::Claim(_, step) if *step != self.step => Err(format!("is at step {}", self.step)),
            // The first report wins.
            _ if self.reported.is_some() => Err("has been completed".to_owned()),
            _ => Ok(()),
        }
    }

    fn complete(&mut self, about: &About, output: Option<&Value>) -> &'static str {
        let is_its_claim = match about {
            About::RunId(_) => true,
            About::Claim(ticket, _) => ticket.token == self.token,
            About::Shown(_) => false,
        };
        if self.lease.is_some() && !self.waiting && is_its_claim {
            self.reported = Some(output.cloned());
            return "kept while the job runs";
        }
        let was_leased = self.lease.is_some();
        self.take_away();
        self.step_done(output);
        if was_leased {
            "the re-run is fenced"
        } else if self.finished {
            "the last step"
        } else {
            "a step"
        }
    }

    /// The claim is taken from whoever has it; its body may run on until the lease's end. Where nobody
    /// has one, the body that is waited for stays the one of the claim before.
    fn take_away(&mut self) {
        self.token += i64::from(self.worker.is_some());
        self.rev += 1;
        self.busy = self.busy.max(self.lease);
        self.ends_claim();
    }

    /// Due at this time, or when the body that may still run has ended; whether as asked.
    fn becomes_due(&mut self, at: Time) -> bool {
        let due = self.busy.map_or(at, |busy| busy.max(at));
        self.available_at = Some(due);
        self.order = due;
        self.ready = due <= Time::Now;
        due <= at
    }
}

/// Shallow, and `null` is a value like any other (SEMANTICS §1.2).
fn merge(into: &mut Value, fields: &Value) {
    if let (Value::Object(into), Value::Object(fields)) = (into, fields) {
        for (name, value) in fields {
            into.insert(name.clone(), value.clone());
        }
    }
}
