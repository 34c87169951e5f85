//! The permits that a worker holds, and when their messages are acknowledged.
//!
//! A message is acknowledged once a claim was made for it, in batches: up to the lowest tag that is not
//! settled. Tags belong to a channel; a new one begins with none.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

pub(super) struct Permits {
    state: Mutex<State>,
    /// There are permits, or a queue is no longer heard.
    news: Notify,
    queues: Vec<Queue>,
}

struct Queue {
    name: String,
    /// Something was settled, or the worker wants to hear of it again, or no longer.
    settled: Notify,
}

struct State {
    lanes: Vec<Lane>,
    /// Of which queues the worker wants messages.
    wanted: Vec<bool>,
    last: Instant,
    /// Whose turn it is.
    next: usize,
}

#[derive(Default)]
struct Lane {
    tags: Tags,
    /// Permits, the oldest first.
    waiting: VecDeque<u64>,
    /// Those for which a claim is under way.
    asked: Vec<u64>,
    hears: bool,
}

/// The messages that a channel has delivered.
#[derive(Debug, Default)]
pub(super) struct Tags {
    unsettled: BTreeSet<u64>,
    highest: u64,
    acknowledged: u64,
}

impl Tags {
    fn delivered(&mut self, tag: u64) {
        self.unsettled.insert(tag);
        self.highest = self.highest.max(tag);
    }

    fn settle(&mut self, tag: u64) {
        self.unsettled.remove(&tag);
    }

    /// Up to which tag all can be acknowledged, if that is news.
    fn acknowledge(&mut self) -> Option<u64> {
        let lowest = self.unsettled.first().map(|tag| tag.saturating_sub(1));
        let upto = lowest.unwrap_or(self.highest);
        let news = upto > self.acknowledged;
        self.acknowledged = self.acknowledged.max(upto);
        news.then_some(upto)
    }
}

impl Permits {
    pub(super) fn new(queues: &[String]) -> Self {
        let lanes = queues.iter().map(|_| Lane::default()).collect();
        let queue = |name: &String| Queue {
            name: name.clone(),
            settled: Notify::new(),
        };
        Self {
            state: Mutex::new(State {
                lanes,
                wanted: vec![true; queues.len()],
                last: Instant::now(),
                next: 0,
            }),
            news: Notify::new(),
            queues: queues.iter().map(queue).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|queue| &*queue.name)
    }

    // What the queues' lanes say and ask.

    /// The channel of this queue is new, or gone.
    pub(super) fn begin(&self, lane: usize) {
        self.state().lanes[lane] = Lane::default();
        self.news.notify_one();
    }

    /// Its messages come.
    pub(super) fn hears(&self, lane: usize) {
        self.state().lanes[lane].hears = true;
        self.news.notify_one();
    }

    /// A message has come; with `is_permit` one to be claimed for, as long as the worker wants it.
    pub(super) fn delivered(&self, lane: usize, tag: u64, is_permit: bool) {
        let mut state = self.state();
        state.last = Instant::now();
        let wanted = state.wanted[lane];
        let lane = &mut state.lanes[lane];
        lane.tags.delivered(tag);
        match is_permit {
            true if wanted => lane.waiting.push_back(tag),
            true => lane.tags.settle(tag),
            false => return,
        }
        drop(state);
        self.news.notify_one();
    }

    /// What is no permit was dealt with.
    pub(super) fn settle(&self, lane: usize, tag: u64) {
        self.state().lanes[lane].tags.settle(tag);
    }

    pub(super) fn acknowledge(&self, lane: usize) -> Option<u64> {
        self.state().lanes[lane].tags.acknowledge()
    }

    /// Whether the worker wants messages of it.
    pub(super) fn wanted(&self, lane: usize) -> bool {
        self.state().wanted[lane]
    }

    /// Something was settled, or `wanted` has changed.
    pub(super) async fn settled(&self, lane: usize) {
        self.queues[lane].settled.notified().await;
    }

    // What the worker's ear says and asks.

    /// There is news of permits.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Whether each queue is heard.
    pub(super) fn hear_all(&self) -> bool {
        let state = self.state();
        state.lanes.iter().all(|lane| lane.hears)
    }

    /// When the last message came.
    pub(super) fn last(&self) -> Instant {
        self.state().last
    }

    /// Whether some of these wait to be claimed for.
    pub(super) fn any(&self, lanes: Range<usize>) -> bool {
        let state = self.state();
        let mut lanes = state.lanes[lanes].iter();
        lanes.any(|lane| !lane.waiting.is_empty())
    }

    /// Takes permits of the next queue that has some and for which there are slots, for a claim: which queue,
    /// and how many.
    pub(super) fn take(&self, free: impl Fn(usize) -> usize) -> Option<(usize, usize)> {
        let mut state = self.state();
        let queues = self.queues.len();
        let from = state.next;
        let found = (0..queues).map(|at| (from + at) % queues);
        let lane = { found }.find(|at| !state.lanes[*at].waiting.is_empty() && free(*at) > 0)?;
        state.next = lane + 1;
        Some((lane, state.lanes[lane].ask(free(lane))))
    }

    /// Takes all permits of these, for a claim that goes by the store.
    pub(super) fn take_all(&self, lanes: Range<usize>) {
        for lane in &mut self.state().lanes[lanes] {
            lane.ask(usize::MAX);
        }
    }

    /// A claim was made for the oldest of those of these that were taken.
    pub(super) fn used(&self, lanes: Range<usize>, mut number: usize) {
        let mut state = self.state();
        let lanes = state.lanes[lanes.clone()]
            .iter_mut()
            .zip(&self.queues[lanes]);
        for (lane, queue) in lanes {
            let used = number.min(lane.asked.len());
            number -= used;
            for tag in lane.asked.drain(..used) {
                lane.tags.settle(tag);
            }
            if used > 0 {
                queue.settled.notify_one();
            }
        }
    }

    /// What was taken and not used waits again.
    pub(super) fn put_back(&self) {
        for lane in &mut self.state().lanes {
            for tag in std::mem::take(&mut lane.asked).into_iter().rev() {
                lane.waiting.push_front(tag);
            }
        }
    }

    /// Wants no more messages of these, and settles those that are there: their programs are claimed from the
    /// store.
    pub(super) fn give_up(&self, lanes: Range<usize>) {
        let mut state = self.state();
        for lane in lanes.clone() {
            state.wanted[lane] = false;
            let lane = &mut state.lanes[lane];
            lane.ask(usize::MAX);
            for tag in std::mem::take(&mut lane.asked) {
                lane.tags.settle(tag);
            }
        }
        drop(state);
        for queue in &self.queues[lanes] {
            queue.settled.notify_one();
        }
    }

    /// Wants messages of these again.
    pub(super) fn want(&self, lanes: Range<usize>) {
        for lane in lanes {
            if !std::mem::replace(&mut self.state().wanted[lane], true) {
                self.queues[lane].settled.notify_one();
            }
        }
    }
}

impl Lane {
    fn ask(&mut self, most: usize) -> usize {
        let taken = most.min(self.waiting.len());
        self.asked.extend(self.waiting.drain(..taken));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_is_only_what_lies_below_all_that_is_unsettled() {
        let mut tags = Tags::default();
        (1..=5).for_each(|tag| tags.delivered(tag));
        assert_eq!(tags.acknowledge(), None);
        tags.settle(1);
        tags.settle(2);
        tags.settle(4);
        assert_eq!(tags.acknowledge(), Some(2), "3 is not settled");
        assert_eq!(tags.acknowledge(), None, "once");
        tags.settle(3);
        assert_eq!(tags.acknowledge(), Some(4));
        tags.settle(5);
        assert_eq!(tags.acknowledge(), Some(5));
        tags.delivered(6);
        assert_eq!(tags.acknowledge(), None);
    }

    #[test]
    fn permits_of_a_failed_claim_wait_again_in_their_order() {
        let permits = Permits::new(&["a".to_owned(), "b".to_owned()]);
        (1..=3).for_each(|tag| permits.delivered(0, tag, true));
        permits.delivered(1, 1, true);
        assert_eq!(permits.take(|_| 2), Some((0, 2)));
        permits.put_back();
        assert_eq!(permits.take(|_| 5), Some((1, 1)), "each has its turn");
        permits.used(0..2, 1);
        assert_eq!(permits.acknowledge(1), Some(1));
        assert_eq!(permits.take(|_| 5), Some((0, 3)));
        permits.used(0..2, 2);
        assert_eq!(permits.acknowledge(0), Some(2));
    }

    #[test]
    fn a_queue_without_slots_keeps_its_permits_and_no_other_from_its_turn() {
        let permits = Permits::new(&["a".to_owned(), "b".to_owned()]);
        permits.delivered(0, 1, true);
        permits.delivered(1, 1, true);
        let only_b = |lane| if lane == 0 { 0 } else { 5 };
        assert_eq!(permits.take(only_b), Some((1, 1)));
        permits.used(1..2, 1);
        assert_eq!(permits.take(only_b), None);
        assert!(permits.any(0..1) && !permits.any(1..2));
        permits.give_up(0..1);
        assert!(!permits.wanted(0) && permits.wanted(1));
        assert_eq!(permits.acknowledge(0), Some(1), "others are to have it");
        permits.delivered(0, 2, true);
        assert!(!permits.any(0..1), "what was on its way as well");
        permits.want(0..1);
        assert!(permits.wanted(0));
    }

    #[test]
    fn a_new_channel_begins_with_no_permits() {
        let permits = Permits::new(&["a".to_owned()]);
        permits.delivered(0, 1, true);
        permits.take(|_| 1);
        permits.begin(0);
        permits.used(0..1, 1);
        permits.put_back();
        assert_eq!(permits.acknowledge(0), None);
        assert_eq!(permits.take(|_| 1), None);
    }
}
