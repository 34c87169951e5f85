//! What a worker hears of RabbitMQ, and what it claims.
//!
//! With permits in hand, a claim takes as many of the best due programs of their queue. Behind that the
//! store is looked at by itself: when it rings or something has become due there, when nothing was
//! delivered for a second, and a little of it each second while messages come, so that a program whose
//! message was lost does not wait for the end of all others.
//!
//! A worker that has no free slot of a queue for a while settles what it holds of it and cancels its
//! consumer: others are to have the messages. It then claims from the store, slot by slot, and hears again
//! when nothing more is due there. A moment without a free slot is no reason for that: it would cost more
//! than it saves.

use std::{ops::Range, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::{consumer::Consumer, lane::PermitEars, permits::Permits};
use crate::{
    broker::{Ask, BrokerFuture, By, Ear},
    config::Share,
    store::Listener,
};

/// When nothing was delivered for so long, the store is looked at.
const SILENCE: Duration = Duration::from_secs(1);
/// How often it is looked at while RabbitMQ is not heard.
const DEAF: Duration = Duration::from_millis(250);
/// How long a worker without a free slot keeps its permits.
const FULL: Duration = Duration::from_millis(50);
/// Which part of the free slots goes to what nobody has announced, each second.
const TRICKLE: usize = 16;
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) struct RabbitEar<'a> {
    store: Box<dyn Listener + 'a>,
    permits: Arc<Permits>,
    consumer: JoinHandle<()>,
    groups: Vec<Group>,
    /// The store has rung.
    rung: bool,
    /// When the store was looked at last.
    looked: Instant,
    /// Whether the claim under way is for a part of the free slots.
    trickle: bool,
    /// The groups that the claim under way is for.
    asked: Vec<usize>,
}

/// The queues of the worker that share slots.
struct Group {
    queues: Arc<[String]>,
    lanes: Range<usize>,
    /// More was due than there were slots, or the consumers are cancelled.
    behind: bool,
    /// Since when no slot is free.
    full: Option<Instant>,
}

impl Group {
    /// All the worker's, whose lanes are in the same order.
    fn of(shares: &[Share]) -> Vec<Self> {
        let mut next = 0;
        let group = |share: &Share| {
            let first = next;
            next += share.queues.len();
            Self {
                queues: Arc::clone(&share.queues),
                lanes: first..next,
                behind: false,
                full: None,
            }
        };
        shares.iter().map(group).collect()
    }
}

impl<'a> RabbitEar<'a> {
    pub(super) fn new(
        store: Box<dyn Listener + 'a>,
        shares: &[Share],
        consumer: Consumer<PermitEars>,
    ) -> Self {
        Self {
            store,
            permits: Arc::clone(&consumer.ears.permits),
            consumer: tokio::spawn(consumer.run()),
            groups: Group::of(shares),
            rung: false,
            looked: Instant::now(),
            trickle: false,
            asked: Vec::new(),
        }
    }

    /// So many of each group.
    fn ask_the_store(&mut self, slots: impl Iterator<Item = usize>) -> Ask {
        self.looked = Instant::now();
        let mut shares = Vec::new();
        for (at, (group, slots)) in self.groups.iter().zip(slots).enumerate() {
            if slots > 0 {
                self.permits.take_all(group.lanes.clone());
                self.asked.push(at);
                shares.push(Share {
                    queues: Arc::clone(&group.queues),
                    slots,
                });
            }
        }
        Ask {
            shares,
            by: By::Store,
        }
    }

    /// As many of one queue as there are permits.
    fn ask_by_permits(&mut self, free: &[usize]) -> Option<Ask> {
        let group_of = |lane: usize| {
            self.groups
                .iter()
                .position(|group| group.lanes.contains(&lane))
        };
        let free_of = |lane| group_of(lane).map_or(0, |group| free[group]);
        let (lane, slots) = self.permits.take(free_of)?;
        let at = group_of(lane)?;
        let group = &self.groups[at];
        let queue = &group.queues[lane - group.lanes.start];
        let share = Share::new([queue], slots);
        self.asked.push(at);
        Some(Ask {
            shares: vec![share],
            by: By::Permits,
        })
    }

    /// Others are to have the messages of these; they are claimed for from the store.
    fn give_up(&mut self, which: impl Fn(&Group) -> bool) {
        for group in self.groups.iter_mut().filter(|group| which(group)) {
            group.behind = true;
            self.permits.give_up(group.lanes.clone());
        }
    }

    /// When one of the groups that are full has been so for too long.
    fn too_long(&self) -> Option<Instant> {
        let hears = |group: &&Group| self.permits.wanted(group.lanes.start);
        let full = self
            .groups
            .iter()
            .filter(hears)
            .filter_map(|group| group.full);
        full.min().map(|since| since + FULL)
    }
}

impl Drop for RabbitEar<'_> {
    fn drop(&mut self) {
        self.consumer.abort();
    }
}

impl Ear for RabbitEar<'_> {
    fn ask(&mut self, free: &[usize], due: bool) -> Option<Ask> {
        self.permits.put_back();
        for (group, free) in self.groups.iter_mut().zip(free) {
            let since = group.full.unwrap_or_else(Instant::now);
            group.full = (*free == 0).then_some(since);
        }
        let looks = self.looked.elapsed() >= self.slow_poll();
        let silent =
            looks && (!self.permits.hear_all() || self.permits.last().elapsed() >= SILENCE);
        let behind = { self.groups.iter() }.any(|group| group.behind && group.full.is_none());
        self.trickle = false;
        self.asked.clear();
        if due || self.rung || behind || silent {
            self.store.mark();
            if due || self.rung {
                // What it is about may be due there.
                let full = self.groups.iter_mut().filter(|group| group.full.is_some());
                full.for_each(|group| group.behind = true);
            }
            self.rung = false;
            return Some(self.ask_the_store(free.iter().copied()));
        }
        if looks {
            self.trickle = true;
            let group = |free: &usize| (free / TRICKLE).max(1).min(*free);
            return Some(self.ask_the_store(free.iter().map(group)));
        }
        self.ask_by_permits(free)
    }

    fn answered(&mut self, ask: &Ask, taken: &[usize], more: bool) {
        for ((at, share), taken) in self.asked.iter().zip(&ask.shares).zip(taken) {
            let group = &mut self.groups[*at];
            let lanes = group.lanes.clone();
            let filled = ask.shares.len() > 1 && *taken >= share.slots;
            match ask.by {
                By::Permits => self.permits.used(lanes, share.slots),
                // What lies behind what was taken keeps its permits.
                By::Store if more || filled => {
                    self.permits.used(lanes, *taken);
                    group.behind |= !self.trickle;
                }
                // Nothing more is due: these permits are for what others have taken.
                By::Store => {
                    self.permits.used(lanes.clone(), usize::MAX);
                    if !self.trickle {
                        group.behind = false;
                        self.permits.want(lanes);
                    }
                }
            }
        }
        self.permits.put_back();
    }

    fn full(&mut self) -> BrokerFuture<'_> {
        Box::pin(async {
            tokio::time::sleep(FULL).await;
            self.give_up(|_| true);
            std::future::pending::<()>().await;
        })
    }

    fn slow_poll(&self) -> Duration {
        if self.permits.hear_all() {
            SILENCE
        } else {
            DEAF
        }
    }

    fn heard(&mut self, at_most: Duration) -> BrokerFuture<'_> {
        Box::pin(async move {
            let mut open = self.groups.iter().filter(|group| group.full.is_none());
            if open.any(|group| self.permits.any(group.lanes.clone())) {
                return;
            }
            let too_long = self.too_long();
            let is_over = |since: Instant| since.elapsed() >= FULL;
            tokio::select! {
                () = self.store.changed(FOR_EVER) => self.rung = true,
                () = self.permits.news() => {}
                () = tokio::time::sleep(at_most) => {}
                () = tokio::time::sleep_until(too_long.unwrap_or_else(Instant::now)), if too_long.is_some() => {
                    self.give_up(|group| group.full.is_some_and(is_over));
                }
            }
        })
    }
}
