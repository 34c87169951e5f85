//! The queues that a worker works, and the slots that they have.
//!
//! A queue has slots of its own, or shares those of the worker with all others that have none. So no
//! queue takes a slot that is meant for another one.

use std::sync::Arc;

use super::WorkerConfig;
use crate::error::{Error, ErrorKind, Result};

/// More slots than that no worker has.
const MOST: usize = 100_000;

/// Queues that share slots, and how many these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) queues: Arc<[String]>,
    pub(crate) slots: usize,
}

impl Share {
    pub(crate) fn new<Q: Into<String>>(queues: impl IntoIterator<Item = Q>, slots: usize) -> Self {
        Self {
            queues: queues.into_iter().map(Into::into).collect(),
            slots,
        }
    }

    /// The queues of all of these, each with the place of its share.
    pub(crate) fn queues(shares: &[Self]) -> Vec<(usize, &String)> {
        let queues = { shares.iter().enumerate() }
            .flat_map(|(at, share)| share.queues.iter().map(move |queue| (at, queue)));
        queues.collect()
    }
}

/// A queue that a worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worked {
    pub(crate) queue: String,
    /// The slots of its own that its entry in the list gives it.
    pub(crate) slots: Option<usize>,
    /// Without any of its own it shares those of the first queue, whosever these are.
    pub(crate) goes_with_the_first: bool,
}

impl From<String> for Worked {
    fn from(queue: String) -> Self {
        Self {
            queue,
            slots: None,
            goes_with_the_first: false,
        }
    }
}

/// Reads a list such as `mail:10`, `reports:2`, `default`.
pub(crate) fn read<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Vec<Worked>> {
    let entries = list.into_iter().map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .map(read_one)
        .collect()
}

fn read_one(entry: &str) -> Result<Worked> {
    // A name may have a colon: then its number stands behind the last one.
    let Some((queue, slots)) = entry.rsplit_once(':') else {
        return Ok(Worked::from(entry.to_owned()));
    };
    let (queue, slots) = (queue.trim_end(), slots.trim_start());
    if queue.is_empty() {
        return fail(format!(
            "{entry:?} names no queue; write it as \"mail\" or \"mail:10\""
        ));
    }
    if slots.is_empty() || !slots.bytes().all(|byte| byte.is_ascii_digit()) {
        return fail(format!(
            "{entry:?}: {slots:?} is no number of slots; write a queue as {queue:?}, or as \
             \"{queue}:10\" to give it 10 slots of its own"
        ));
    }
    // What is too large for the number is too many in any case.
    let slots = slots.parse().unwrap_or(usize::MAX);
    Ok(Worked {
        slots: Some(slots),
        ..Worked::from(queue.to_owned())
    })
}

impl WorkerConfig {
    /// Takes the command line's list: its numbers win over what the program says.
    #[cfg(feature = "cli")]
    pub(crate) fn take_list(&mut self, list: &[String]) -> Result<()> {
        self.queues = read(list.iter().map(String::as_str))
            .map_err(|e| Error::new(ErrorKind::Configuration, format!("--queue: {e}")))?;
        for worked in &mut self.queues {
            if let Some(slots) = worked.slots.take() {
                self.slots_of.insert(worked.queue.clone(), slots);
            }
        }
        Ok(())
    }

    /// The queues that share slots, each with what it has.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let mut shares: Vec<(Vec<&str>, usize)> = Vec::new();
        let mut shared = Vec::new();
        let first_has_own = self.queues.first().and_then(|first| self.own_slots(first));
        for worked in &self.queues {
            let queue = &*worked.queue;
            match (self.own_slots(worked), shares.first_mut()) {
                (Some(slots), _) => shares.push((vec![queue], slots)),
                (None, Some((queues, _)))
                    if worked.goes_with_the_first && first_has_own.is_some() =>
                {
                    queues.push(queue);
                }
                (None, _) => shared.push(queue),
            }
        }
        if !shared.is_empty() {
            shares.push((shared, self.slots));
        }
        let shares = shares.into_iter();
        shares
            .map(|(queues, slots)| Share::new(queues, slots))
            .collect()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.queues.iter().map(|worked| worked.queue.clone())
    }

    /// The queues as a list, with the slots that they have of their own.
    pub(crate) fn list(&self) -> String {
        let entry = |worked: &Worked| match self.own_slots(worked) {
            Some(slots) => format!("{}:{slots}", worked.queue),
            None => worked.queue.clone(),
        };
        let entries: Vec<_> = self.queues.iter().map(entry).collect();
        entries.join(",")
    }

    fn own_slots(&self, worked: &Worked) -> Option<usize> {
        self.slots_of.get(&worked.queue).copied().or(worked.slots)
    }

    /// Queues that have slots and are not worked.
    pub(crate) fn slots_of_others(&self) -> impl Iterator<Item = &str> {
        let is_worked = |queue: &str| self.queues.iter().any(|worked| worked.queue == queue);
        let queues = self.slots_of.keys().map(String::as_str);
        queues.filter(move |queue| !is_worked(queue))
    }

    /// Whether each queue has its place and its slots.
    pub(super) fn check_queues(&self) -> Result<()> {
        if self.queues.is_empty() {
            return fail("a worker needs at least one queue".to_owned());
        }
        if self.slots == 0 {
            return fail("slots must be at least 1".to_owned());
        }
        for (at, worked) in self.queues.iter().enumerate() {
            let queue = &worked.queue;
            if self.queues[..at].iter().any(|other| other.queue == *queue) {
                return fail(format!(
                    "the worker's queues (EXECUTOR_QUEUE) have {queue:?} twice; name it once, with all \
                     its slots"
                ));
            }
            if self.own_slots(worked) == Some(0) {
                return fail(format!(
                    "the queue {queue:?} has 0 slots and needs at least one; to leave it to other \
                     workers, take it off the worker's queues (EXECUTOR_QUEUE)"
                ));
            }
        }
        let shares = self.shares();
        let all = { shares.iter() }.fold(0, |all: usize, share| all.saturating_add(share.slots));
        if all > MOST {
            return fail(format!(
                "the slots of a worker must be at most {MOST} in all; give it, or its queues, fewer, and \
                 start more workers"
            ));
        }
        Ok(())
    }
}

fn fail<T>(text: String) -> Result<T> {
    Err(Error::new(ErrorKind::Configuration, text))
}

#[cfg(test)]
mod tests {
    use super::{super::Config, *};

    fn worker(list: &str) -> Result<WorkerConfig> {
        let lookup = |name: &str| match name {
            "EXECUTOR_QUEUE" => Some(list.to_owned()),
            "EXECUTOR_SLOTS" => Some("20".to_owned()),
            _ => None,
        };
        let config = Config::from_lookup(lookup)?;
        config.check()?;
        Ok(config.worker)
    }

    fn shares(list: &str) -> Vec<(String, usize)> {
        let shares = worker(list).expect("settings").shares();
        let shown = |share: Share| (share.queues.join("+"), share.slots);
        shares.into_iter().map(shown).collect()
    }

    fn shown<const N: usize>(shares: [(&str, usize); N]) -> Vec<(String, usize)> {
        shares.map(|(name, slots)| (name.to_owned(), slots)).into()
    }

    #[test]
    fn a_queue_has_slots_of_its_own_or_shares_the_workers() {
        assert_eq!(shares("default"), shown([("default", 20)]));
        assert_eq!(shares("a, b,,c"), shown([("a+b+c", 20)]));
        assert_eq!(shares("mail:10"), shown([("mail", 10)]));
        assert_eq!(
            shares("mail:10, reports : 2,default,more"),
            shown([("mail", 10), ("reports", 2), ("default+more", 20)])
        );
        assert_eq!(shares("tenant:7:10"), shown([("tenant:7", 10)]));
    }

    #[test]
    fn the_queue_of_rows_that_name_none_goes_with_that_of_program_executor() {
        let shares = |list: &str| {
            let lookup = |name: &str| match name {
                "EXECUTOR_QUEUE" => Some(list.to_owned()),
                "EXECUTOR_INTEROP" => Some("program-executor".to_owned()),
                _ => None,
            };
            let mut config = Config::from_lookup(lookup).expect("settings");
            config.complete();
            let shown = |share: Share| (share.queues.join("+"), share.slots);
            config
                .worker
                .shares()
                .into_iter()
                .map(shown)
                .collect::<Vec<_>>()
        };
        assert_eq!(shares("jobs:10"), shown([("jobs+default", 10)]));
        assert_eq!(
            shares("jobs:10,mail:2,other"),
            shown([("jobs+default", 10), ("mail", 2), ("other", 50)])
        );
        assert_eq!(
            shares("jobs,mail:2"),
            shown([("mail", 2), ("jobs+default", 50)])
        );
        assert_eq!(
            shares("jobs:10,default"),
            shown([("jobs", 10), ("default", 50)])
        );
    }

    #[test]
    fn what_the_program_says_wins() {
        let mut worker = worker("mail:10,reports:2,default").expect("settings");
        worker.slots_of.insert("mail".to_owned(), 3);
        worker.slots_of.insert("default".to_owned(), 4);
        worker.slots_of.insert("typo".to_owned(), 5);
        let slots: Vec<_> = worker.shares().iter().map(|share| share.slots).collect();
        assert_eq!(slots, [3, 2, 4]);
        assert_eq!(worker.slots_of_others().collect::<Vec<_>>(), ["typo"]);
    }

    #[cfg(feature = "cli")]
    #[test]
    fn the_command_line_wins() {
        let mut worker = worker("mail:10").expect("settings");
        worker.slots_of.insert("mail".to_owned(), 3);
        let mut take = |list: &[&str]| {
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            worker.take_list(&list).map(|()| worker.list())
        };
        assert_eq!(take(&["mail", "a"]).expect("a list"), "mail:3,a");
        assert_eq!(take(&["mail:5", "a:1"]).expect("a list"), "mail:5,a:1");
        let error = take(&["mail:x"]).expect_err("it is wrong").to_string();
        assert!(error.starts_with("--queue: \"mail:x\": \"x\" is no number"));
    }

    #[test]
    fn a_wrong_list_says_what_to_write() {
        let fails = |list| worker(list).expect_err("it is wrong").to_string();
        assert_eq!(
            fails("mail:x"),
            "EXECUTOR_QUEUE: \"mail:x\": \"x\" is no number of slots; write a queue as \"mail\", or as \
             \"mail:10\" to give it 10 slots of its own"
        );
        for list in ["mail:", "mail:-1", "mail:+1", "mail:1.5", "a,mail:1 0"] {
            assert!(fails(list).contains("is no number of slots"), "{list}");
        }
        assert!(fails(":3").contains("\":3\" names no queue; write it as"));
        assert!(fails("mail:0").contains("has 0 slots and needs at least one; to leave it to"));
        for list in ["mail,mail", "mail:1,mail:2", "mail,a,mail:2"] {
            assert!(
                fails(list).contains("have \"mail\" twice; name it once"),
                "{list}"
            );
        }
        for list in [
            "mail:99990,default",
            "a:60000,b:60000",
            "a:99999999999999999999999",
        ] {
            assert!(
                fails(list).contains("at most 100000 in all; give it"),
                "{list}"
            );
        }
        assert!(worker("mail:99980,default").is_ok());
        assert!(fails(" , ").contains("at least one queue"));
    }
}
