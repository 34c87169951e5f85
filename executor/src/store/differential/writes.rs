//! What the workers of a [`Plan`] write.

use std::collections::BTreeMap;

use super::{
    model::{Model, Row},
    operation::{Arrow, Failed, Operation, Ticket, Time, Write},
    plan::Plan,
    values,
};
use crate::store::Written;

impl Plan {
    /// At most one write of a program.
    pub(super) fn writes(&mut self, model: &Model, most: usize) -> Option<Vec<Write>> {
        let mut writes: Vec<Write> = Vec::new();
        for _ in 0..most {
            let write = self.write(model)?;
            if writes
                .iter()
                .all(|other| other.ticket.run_id != write.ticket.run_id)
            {
                writes.push(write);
            }
        }
        if writes.len() > 1 {
            // Which of two has the key, when one takes it and the other ends, is up to the store.
            let children = writes.iter_mut().flat_map(|write| &mut write.children);
            children.for_each(|child| child.unique_key = None);
        }
        Some(writes)
    }

    fn write(&mut self, model: &Model) -> Option<Write> {
        if self.by_chance(18) {
            // The latest ones are of more interest.
            let sent = self.held.iter().filter(|held| !held.sent.is_empty());
            let sent: Vec<_> = sent.map(|held| held.sent.clone()).collect();
            let sent = self.one_of_the_latest(&sent)?;
            return self.one_of_the_latest(&sent[sent.len().saturating_sub(2)..]);
        }
        let ticket = self.writing(model)?;
        Some(self.fresh_write(model, ticket))
    }

    /// A claim whose worker may write. Those to which something has happened come more often.
    pub(super) fn writing(&mut self, model: &Model) -> Option<Ticket> {
        let held = self
            .held
            .iter()
            .map(|held| (held, model.row(&held.ticket.run_id)));
        let (mut live, mut stopped, mut over, mut gone) = (vec![], vec![], vec![], vec![]);
        let (mut paused, mut awaited) = (vec![], vec![]);
        for (held, row) in held {
            let ticket = held.ticket.clone();
            match row {
                None => gone.push(ticket),
                Some(row) if row.token != ticket.token => match row.awaits(&ticket) {
                    true => awaited.push(ticket),
                    false => gone.push(ticket),
                },
                Some(_) if held.ended => {}
                Some(row) if row.ended() => stopped.push(ticket),
                Some(row) if row.ready => over.push(ticket),
                Some(row) if model.paused.contains(row.new.queue) => paused.push(ticket),
                Some(_) => live.push(ticket),
            }
        }
        let any = [&live[..], &stopped, &over, &paused].concat();
        let preferred = match self.rng.u8(..20) {
            0..3 => gone,
            3..8 => stopped,
            8..12 => over,
            12..14 => paused,
            14..16 => awaited,
            _ => live,
        };
        match preferred.is_empty() {
            true => self.one_of_the_latest(&any),
            false => self.one_of_the_latest(&preferred),
        }
    }

    fn fresh_write(&mut self, model: &Model, ticket: Ticket) -> Write {
        let row = model.row(&ticket.run_id);
        // Where something has happened to its program, what was rarely written there comes first.
        let happened = match row {
            Some(row) if row.ended() => Some("on a stopped program"),
            Some(row) if row.ready => Some("the lease was over"),
            _ => None,
        };
        let some = (0..if happened.is_some() { 4 } else { 1 }).map(|_| self.arrow(row));
        let some: Vec<_> = some.collect();
        let rarest = some.into_iter().min_by_key(|arrow| {
            let what = format!("{}: {}", arrow.name(), happened.unwrap_or_default());
            let number = |of: &BTreeMap<String, usize>| of.get(&what).copied().unwrap_or_default();
            number(&self.happened) + number(&model.happened)
        });
        let arrow = rarest.expect("at least one");
        let number = if self.by_chance(20) {
            self.rng.usize(1..3)
        } else {
            0
        };
        let (step, mut ordinal) = row.map_or((0, 0), |row| (row.step, row.ordinal));
        // An attempt that knows nothing of what the one before it has started meets it again.
        if self.by_chance(20) {
            ordinal = 0;
        }
        let step = u32::try_from(step).expect("a few steps");
        let mut children = Vec::new();
        for _ in 0..number {
            let mut child = self.child(model, &ticket.run_id, ticket.run_id.child(step, ordinal));
            child.unique_key = child.unique_key.filter(|_| children.is_empty());
            children.push(child);
            ordinal += 1;
        }
        Write {
            ticket,
            arrow,
            children,
            ordinal,
        }
    }

    fn arrow(&mut self, row: Option<&Row>) -> Arrow {
        let failed = Failed {
            step: row.map_or(0, |row| row.step),
            job: row.map_or_else(String::new, Row::key),
            attempt: row.map_or(1, |row| row.retries + 1),
            message: values::text(&mut self.rng),
        };
        let after = self.one_of(&[Time::Now, Time::Now, Time::Later]);
        let next = row.and_then(Row::next);
        let is_reported = row.is_some_and(|row| row.reported.is_some());
        match self.rng.u8(..if is_reported { 40 } else { 24 }) {
            0..4 => Arrow::Save {
                job_data: values::object(&mut self.rng),
            },
            4..11 => self.step_end(next),
            11..14 => Arrow::Retry { failed, after },
            14..16 => Arrow::Fail { failed },
            16..19 => Arrow::Snooze { after },
            19..21 => Arrow::GiveBack,
            _ => Arrow::HandOff {
                key: row.map_or_else(String::new, Row::key),
                next,
            },
        }
    }

    fn step_end(&mut self, next: Option<&'static str>) -> Arrow {
        let outputs = match self.by_chance(60) {
            true => Some(values::object(&mut self.rng)),
            false => None,
        };
        match next {
            None => Arrow::Finish { outputs },
            Some(next) if self.by_chance(60) => Arrow::Advance { next, outputs },
            Some(next) => Arrow::AdvanceAndRelease { next, outputs },
        }
    }

    /// The end of a step in a job's transaction, with the progress that it has not saved yet.
    pub(super) fn transaction(&mut self, model: &Model) -> Option<Operation> {
        let paused = self.held.iter().filter(|held| {
            let row = model.row(&held.ticket.run_id);
            let goes_on = |row: &Row| row.next().is_some() && row.token == held.ticket.token;
            row.is_some_and(|row| goes_on(row) && model.paused.contains(row.new.queue))
                && !held.ended
        });
        let paused: Vec<_> = paused.map(|held| held.ticket.clone()).collect();
        let is_paused = !paused.is_empty();
        let ticket = match is_paused {
            true => self.one_of_the_latest(&paused)?,
            false => self.writing(model)?,
        };
        let save = self.fresh_write(model, ticket.clone());
        let mut end = Write {
            arrow: self.step_end(model.row(&ticket.run_id).and_then(Row::next)),
            ..save.clone()
        };
        if let (true, Some(next)) = (is_paused, model.row(&ticket.run_id).and_then(Row::next)) {
            end.arrow = Arrow::Advance {
                next,
                outputs: None,
            };
        }
        let mut writes = Vec::new();
        if self.by_chance(50) {
            let job_data = values::object(&mut self.rng);
            end.ticket.rev += 1;
            let mut children = std::mem::take(&mut end.children);
            // Whether a child gets the key of its parent, which ends behind it, is up to the store.
            children
                .iter_mut()
                .for_each(|child| child.unique_key = None);
            writes.push(Write {
                arrow: Arrow::Save { job_data },
                children,
                ..save
            });
        }
        writes.push(end);
        let created = match self.by_chance(40) {
            true => self.programs(model, 2),
            false => Vec::new(),
        };
        Some(Operation::CommitIn { created, writes })
    }

    pub(super) fn has_written(&mut self, write: &Write, written: &Written) {
        let held = self.held.iter_mut();
        let mut held = held.filter(|held| held.ticket == write.ticket);
        // One that was sent again tells nothing new.
        let Some(held) = held.next() else { return };
        held.sent.push(write.clone());
        let goes_on = matches!(write.arrow, Arrow::Save { .. } | Arrow::Advance { .. });
        let goes_on = match written {
            Written::Committed => goes_on,
            Written::Stopped => matches!(write.arrow, Arrow::Save { .. }),
            _ => false,
        };
        if *written == Written::LeaseLost {
            return;
        }
        held.ticket.rev += 1;
        held.ended |= !goes_on;
    }
}
