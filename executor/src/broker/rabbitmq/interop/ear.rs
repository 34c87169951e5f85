//! What a worker hears of program-executor's queues, and what it claims.
//!
//! Before each claim, as many of the programs that messages name are taken into the store as their queues
//! have free slots; the claim takes the best of all that is due there. The store is looked at by itself when
//! it rings or something becomes due, and once a second. Messages of a queue that has had no free slot for a
//! while go back to others.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::{
    inbox::{Held, Inbox, Verdict},
    lane::InteropEars,
};
use crate::{
    broker::{Ask, BrokerFuture, By, Ear, Prepared, rabbitmq::consumer::Consumer},
    config::Share,
    error::Result,
    store::{Listener, Store, Taken},
};

/// How often the store is looked at by itself.
const LOOK: Duration = Duration::from_secs(1);
/// How often while a queue is not heard.
const DEAF: Duration = Duration::from_millis(250);
/// How long a worker without a free slot keeps messages.
const FULL: Duration = Duration::from_millis(50);
/// For how long a row that somebody holds locked is tried again; a hand-over holds it for a moment.
const LOCKED: Duration = Duration::from_millis(100);
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

pub(in crate::broker::rabbitmq) struct InteropEar<'a> {
    store: &'a dyn Store,
    listener: Box<dyn Listener + 'a>,
    groups: Vec<Group>,
    inbox: Arc<Inbox>,
    consumer: JoinHandle<()>,
    /// The store has rung.
    rung: bool,
    /// When the store was looked at last.
    looked: Instant,
    /// The groups that the claim under way is for.
    asked: Vec<usize>,
}

/// The queues of the worker that share slots.
struct Group {
    /// The store's.
    queues: Arc<[String]>,
    /// Those of them that RabbitMQ has.
    lanes: Vec<usize>,
    /// More was due than there were slots, or others have got the messages.
    behind: bool,
    /// Since when no slot is free.
    full: Option<Instant>,
}

impl Group {
    /// All the worker's; `names`: the lanes'. A message's program is taken into the queue of that name.
    fn of(shares: &[Share], names: &[String]) -> Vec<Self> {
        let group = |share: &Share| {
            let lanes = names.iter().enumerate();
            let its = lanes.filter(|(_, name)| share.queues.contains(name));
            Self {
                queues: Arc::clone(&share.queues),
                lanes: its.map(|(lane, _)| lane).collect(),
                behind: false,
                full: None,
            }
        };
        shares.iter().map(group).collect()
    }

    /// Leaves its messages to others; its programs are claimed from the store.
    fn give_up(&mut self, inbox: &Inbox) {
        self.behind = true;
        inbox.give_up(&self.lanes);
    }
}

impl<'a> InteropEar<'a> {
    pub(in crate::broker::rabbitmq) fn new(
        store: &'a dyn Store,
        shares: &[Share],
        consumer: Consumer<InteropEars>,
    ) -> Self {
        Self {
            store,
            listener: store.listener(),
            groups: Group::of(shares, &consumer.ears.queues),
            inbox: Arc::clone(&consumer.ears.inbox),
            consumer: tokio::spawn(consumer.run()),
            rung: false,
            looked: Instant::now(),
            asked: Vec::new(),
        }
    }

    /// Whether messages wait for which there are slots.
    fn any(&self) -> bool {
        let has_slots =
            |lane| { self.groups.iter() }.any(|it| it.full.is_none() && it.lanes.contains(&lane));
        self.inbox.any(has_slots)
    }

    /// When one of the groups that are full has held messages for too long.
    fn too_long(&self) -> Option<Instant> {
        let hears = |group: &&Group| { group.lanes.iter() }.any(|lane| self.inbox.wanted(*lane));
        let full = self.groups.iter().filter(hears);
        let since = full.filter_map(|group| group.full).min();
        since.map(|since| since + FULL)
    }
}

impl Drop for InteropEar<'_> {
    fn drop(&mut self) {
        self.consumer.abort();
    }
}

impl Ear for InteropEar<'_> {
    fn ask(&mut self, free: &[usize], due: bool) -> Option<Ask> {
        for (group, free) in self.groups.iter_mut().zip(free) {
            let since = group.full.unwrap_or_else(Instant::now);
            group.full = (*free == 0).then_some(since);
        }
        let looks = self.looked.elapsed() >= self.slow_poll();
        let behind = { self.groups.iter() }.any(|group| group.behind && group.full.is_none());
        if !(due || self.rung || behind || looks || self.any()) {
            return None;
        }
        self.listener.mark();
        if due || self.rung {
            // What it is about may be due there.
            let full = self.groups.iter_mut().filter(|group| group.full.is_some());
            full.for_each(|group| group.behind = true);
        }
        self.rung = false;
        self.looked = Instant::now();
        let asked = (0..free.len()).filter(|at| free[*at] > 0);
        self.asked = asked.collect();
        let share = |at: &usize| Share {
            queues: Arc::clone(&self.groups[*at].queues),
            slots: free[*at],
        };
        Some(Ask {
            shares: self.asked.iter().map(share).collect(),
            by: By::Store,
        })
    }

    fn prepare<'s>(&'s mut self, ask: &'s Ask) -> Prepared<'s> {
        let mut free = vec![0; self.groups.len()];
        for (at, share) in self.asked.iter().zip(&ask.shares) {
            free[*at] = share.slots;
        }
        let groups = &self.groups;
        let held = self.inbox.take(|lane| {
            let mut free = groups.iter().zip(&mut free);
            let its = free.find(|(group, free)| group.lanes.contains(&lane) && **free > 0);
            its.map(|(_, free)| *free -= 1).is_some()
        });
        Box::pin(take_in(self.store, &self.inbox, held))
    }

    fn answered(&mut self, ask: &Ask, taken: &[usize], more: bool) {
        for ((at, share), taken) in self.asked.iter().zip(&ask.shares).zip(taken) {
            let group = &mut self.groups[*at];
            let filled = *taken >= share.slots;
            group.behind = more || (filled && ask.shares.len() > 1);
            if !filled {
                self.inbox.want(&group.lanes);
            }
        }
    }

    fn full(&mut self) -> BrokerFuture<'_> {
        Box::pin(async {
            tokio::time::sleep(FULL).await;
            for group in &mut self.groups {
                group.give_up(&self.inbox);
            }
            std::future::pending::<()>().await;
        })
    }

    fn slow_poll(&self) -> Duration {
        if self.inbox.hear_all() { LOOK } else { DEAF }
    }

    fn heard(&mut self, at_most: Duration) -> BrokerFuture<'_> {
        Box::pin(async move {
            if self.any() {
                return;
            }
            let too_long = self.too_long();
            let until = too_long.unwrap_or_else(Instant::now);
            tokio::select! {
                () = self.listener.changed(FOR_EVER) => self.rung = true,
                () = self.inbox.news() => {}
                () = tokio::time::sleep(at_most) => {}
                () = tokio::time::sleep_until(until), if too_long.is_some() => {
                    let is_over = |since: Instant| since.elapsed() >= FULL;
                    let full = |group: &&mut Group| group.full.is_some_and(is_over);
                    let groups = self.groups.iter_mut().filter(full);
                    groups.for_each(|group| group.give_up(&self.inbox));
                }
            }
        })
    }
}

/// Takes the programs into the store that these messages name.
async fn take_in(store: &dyn Store, inbox: &Inbox, held: Vec<Held>) -> Result<()> {
    let began = Instant::now();
    let mut left = held;
    while !left.is_empty() {
        let offers = left.iter().map(|held| held.offer.clone()).collect();
        let taken = match store.take_in(offers).await {
            Ok(taken) => taken,
            Err(error) => {
                inbox.put_back(left);
                return Err(error);
            }
        };
        let patient = began.elapsed() < LOCKED;
        let mut locked = Vec::new();
        let mut passed = Vec::with_capacity(left.len());
        for (held, taken) in left.into_iter().zip(taken) {
            let verdict = match taken {
                Taken::Ours => Verdict::Acknowledge,
                Taken::Locked if patient => {
                    locked.push(held);
                    continue;
                }
                Taken::Locked | Taken::Later => Verdict::Later,
                Taken::Void(reason) => {
                    tracing::debug!(run_id = held.offer.run_id, reason, "a message is void");
                    Verdict::Acknowledge
                }
            };
            passed.push((held, verdict));
        }
        inbox.pass(passed);
        left = locked;
        if !left.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}
