//! The messages that a worker holds, and what is to become of them.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::store::Offer;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has done what it was for, or says nothing any more.
    Acknowledge,
    /// To the queue from which it comes back after a second.
    Later,
    /// Back to where it came from, for others.
    Return,
}

/// A message that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    lane: usize,
    /// Which channel of the lane's has delivered it: tags belong to a channel.
    channel: u64,
    tag: u64,
    pub(super) offer: Offer,
}

pub(in crate::broker::rabbitmq) struct Inbox {
    state: Mutex<State>,
    /// There are messages, or a queue is no longer heard.
    news: Notify,
    /// A verdict was passed, or the worker wants to hear of it again, or no longer; of each lane.
    passed: Vec<Notify>,
}

struct State {
    lanes: Vec<Lane>,
    /// The oldest first.
    waiting: VecDeque<Held>,
    /// Of which lanes the worker wants messages.
    wanted: Vec<bool>,
}

#[derive(Default)]
struct Lane {
    channel: u64,
    hears: bool,
    verdicts: Vec<(u64, Verdict)>,
}

impl Inbox {
    pub(in crate::broker::rabbitmq) fn new(lanes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                lanes: (0..lanes).map(|_| Lane::default()).collect(),
                waiting: VecDeque::new(),
                wanted: vec![true; lanes],
            }),
            news: Notify::new(),
            passed: (0..lanes).map(|_| Notify::new()).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every holder leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the lanes say and ask.

    /// The channel of this one is new, or gone: what it had delivered comes again.
    pub(super) fn begin(&self, lane: usize) {
        let mut state = self.state();
        state.waiting.retain(|held| held.lane != lane);
        let this = &mut state.lanes[lane];
        *this = Lane {
            channel: this.channel + 1,
            ..Lane::default()
        };
        drop(state);
        self.news.notify_one();
    }

    /// Its messages come.
    pub(super) fn hears(&self, lane: usize) {
        self.state().lanes[lane].hears = true;
        self.news.notify_one();
    }

    /// A message has come that names a program.
    pub(super) fn delivered(&self, lane: usize, tag: u64, offer: Offer) {
        let mut state = self.state();
        let channel = state.lanes[lane].channel;
        if state.wanted[lane] {
            state.waiting.push_back(Held {
                lane,
                channel,
                tag,
                offer,
            });
        } else {
            state.lanes[lane].verdicts.push((tag, Verdict::Return));
        }
        drop(state);
        self.news.notify_one();
    }

    /// What was passed on messages of this one.
    pub(super) fn verdicts(&self, lane: usize) -> Vec<(u64, Verdict)> {
        std::mem::take(&mut self.state().lanes[lane].verdicts)
    }

    /// Whether the worker wants messages of this one.
    pub(super) fn wanted(&self, lane: usize) -> bool {
        self.state().wanted[lane]
    }

    /// A verdict was passed, or `wanted` has changed.
    pub(super) async fn passed(&self, lane: usize) {
        self.passed[lane].notified().await;
    }

    // What the worker's ear says and asks.

    /// There is news of messages.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Whether each queue is heard.
    pub(super) fn hear_all(&self) -> bool {
        self.state().lanes.iter().all(|lane| lane.hears)
    }

    /// Whether some wait of lanes for which there are slots.
    pub(super) fn any(&self, mut has_slots: impl FnMut(usize) -> bool) -> bool {
        let state = self.state();
        state.waiting.iter().any(|held| has_slots(held.lane))
    }

    /// The oldest first, those whose lane gets a slot. They are to be passed on, or put back.
    pub(super) fn take(&self, mut gets_slot: impl FnMut(usize) -> bool) -> Vec<Held> {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting).into_iter();
        let (taken, left) = waiting.partition::<Vec<_>, _>(|held| gets_slot(held.lane));
        state.waiting = left.into();
        taken
    }

    pub(super) fn put_back(&self, held: Vec<Held>) {
        let mut state = self.state();
        for held in held.into_iter().rev() {
            if held.channel == state.lanes[held.lane].channel {
                state.waiting.push_front(held);
            }
        }
    }

    pub(super) fn pass(&self, verdicts: impl IntoIterator<Item = (Held, Verdict)>) {
        let mut state = self.state();
        for (held, verdict) in verdicts {
            let lane = &mut state.lanes[held.lane];
            if held.channel == lane.channel {
                lane.verdicts.push((held.tag, verdict));
            }
        }
        drop(state);
        self.tell_lanes();
    }

    /// Wants no more messages of these, and leaves those that are there to others.
    pub(super) fn give_up(&self, lanes: &[usize]) {
        for lane in lanes {
            self.state().wanted[*lane] = false;
        }
        let held = self.take(|lane| lanes.contains(&lane));
        self.pass(held.into_iter().map(|held| (held, Verdict::Return)));
    }

    /// Wants messages of these again.
    pub(super) fn want(&self, lanes: &[usize]) {
        for lane in lanes {
            if !std::mem::replace(&mut self.state().wanted[*lane], true) {
                self.passed[*lane].notify_one();
            }
        }
    }

    fn tell_lanes(&self) {
        self.passed.iter().for_each(Notify::notify_one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(run_id: &str) -> Offer {
        Offer {
            run_id: run_id.to_owned(),
            queue: "q".to_owned(),
            jobs: vec!["a".to_owned()],
        }
    }

    #[test]
    fn what_a_full_worker_holds_goes_back_to_where_it_came_from() {
        let inbox = Inbox::new(1);
        inbox.delivered(0, 1, offer("1"));
        inbox.give_up(&[0]);
        // What is on its way when nothing more is wanted.
        inbox.delivered(0, 2, offer("2"));
        assert_eq!(
            inbox.verdicts(0),
            [(1, Verdict::Return), (2, Verdict::Return)]
        );
        assert!(!inbox.any(|_| true) && !inbox.wanted(0));
    }

    #[test]
    fn a_full_lane_keeps_no_other_from_its_slots() {
        let inbox = Inbox::new(2);
        inbox.delivered(0, 1, offer("full"));
        inbox.delivered(1, 1, offer("b"));
        inbox.delivered(1, 2, offer("c"));
        let mut free = [0_usize, 1];
        let taken = inbox.take(|lane| {
            let gets = free[lane] > 0;
            free[lane] = free[lane].saturating_sub(1);
            gets
        });
        let taken: Vec<_> = taken.iter().map(|held| &*held.offer.run_id).collect();
        assert_eq!(taken, ["b"]);
        inbox.give_up(&[0]);
        assert_eq!(inbox.verdicts(0), [(1, Verdict::Return)]);
        assert_eq!(inbox.verdicts(1), []);
        assert!(inbox.any(|lane| lane == 1) && inbox.wanted(1) && !inbox.wanted(0));
        inbox.want(&[0]);
        assert!(inbox.wanted(0));
    }

    #[test]
    fn a_new_channel_has_nothing_to_do_with_the_messages_of_the_last() {
        let inbox = Inbox::new(1);
        inbox.delivered(0, 1, offer("1"));
        let taken = inbox.take(|_| true);
        inbox.begin(0);
        inbox.put_back(taken.clone());
        inbox.pass(taken.into_iter().map(|held| (held, Verdict::Later)));
        assert!(!inbox.any(|_| true));
        assert_eq!(inbox.verdicts(0), []);
    }
}
