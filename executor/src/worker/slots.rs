//! A worker's capacity: slots, bytes, and the room of jobs that have a limit of their own.
//!
//! Capacity is taken before work: a claim asks for no more than is free, and a slot is free again
//! only when its program's last write is durable.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::config::Share;

pub(super) struct Slots {
    free: Mutex<Free>,
    freed: Notify,
    shares: Vec<Share>,
}

#[derive(Debug)]
struct Free {
    /// Share by share.
    slots: Vec<usize>,
    /// Below zero when one program was let in that goes beyond.
    bytes: isize,
    /// Programs that seem to kill their workers run one at a time.
    suspects: usize,
    /// Room in the jobs that have a limit.
    room: HashMap<&'static str, usize>,
}

/// What a program takes up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Whose slot it has.
    pub(super) share: usize,
    pub(super) bytes: usize,
    pub(super) suspect: bool,
}

impl Slots {
    pub(super) fn new(
        shares: Vec<Share>,
        bytes: usize,
        limits: impl Iterator<Item = (&'static str, usize)>,
    ) -> Self {
        let free = Free {
            slots: shares.iter().map(|share| share.slots).collect(),
            bytes: signed(bytes),
            suspects: 1,
            room: limits.collect(),
        };
        Self {
            free: Mutex::new(free),
            freed: Notify::new(),
            shares,
        }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Slots, share by share, and bytes that are free. Where no byte is, only those shares have slots of which
    /// nothing runs: one program is always let in.
    pub(super) fn available(&self) -> (Vec<usize>, usize) {
        let free = self.free();
        let bytes = usize::try_from(free.bytes).unwrap_or(0);
        let open = |(slots, share): (&usize, &Share)| {
            let is_open = bytes > 0 || *slots == share.slots;
            if is_open { *slots } else { 0 }
        };
        let slots = free.slots.iter().zip(&self.shares).map(open).collect();
        (slots, bytes)
    }

    /// Whose slots programs of this queue take.
    pub(super) fn share_of(&self, queue: &str) -> usize {
        let has = |share: &Share| share.queues.iter().any(|name| name == queue);
        match self.shares.len() {
            1 => 0,
            _ => self.shares.iter().position(has).unwrap_or(0),
        }
    }

    /// How many suspects may be taken.
    pub(super) fn suspects(&self) -> usize {
        self.free().suspects
    }

    /// Takes all the room that limited jobs have, so that no running program slips into it while a
    /// claim is under way.
    pub(super) fn reserve_room(&self) -> Vec<(&'static str, usize)> {
        self.free()
            .room
            .iter_mut()
            .map(|(job, room)| (*job, std::mem::take(room)))
            .collect()
    }

    /// Gives back the room that the claim did not use.
    pub(super) fn return_room(&self, job: &'static str, room: usize) {
        if let Some(free) = self.free().room.get_mut(job) {
            *free += room;
        }
    }

    /// Takes a slot for a claimed program.
    pub(super) fn take(&self, load: Load) {
        let mut free = self.free();
        // A claim asks for no more than is free; bytes may go beyond by one program.
        let slots = &mut free.slots[load.share];
        *slots = slots.saturating_sub(1);
        free.bytes = free.bytes.saturating_sub(signed(load.bytes));
        free.suspects = free.suspects.saturating_sub(usize::from(load.suspect));
    }

    /// Frees slots, and tells the dispatcher once for all of them.
    pub(super) fn release(&self, loads: &[Load]) {
        if loads.is_empty() {
            return;
        }
        let mut free = self.free();
        for load in loads {
            free.slots[load.share] += 1;
        }
        let bytes = loads.iter().map(|load| signed(load.bytes)).sum();
        free.bytes = free.bytes.saturating_add(bytes);
        free.suspects += loads.iter().filter(|load| load.suspect).count();
        drop(free);
        self.freed.notify_one();
    }

    /// Takes room in a job, if it has a limit and there is some.
    pub(super) fn enter(&self, job: &str) -> bool {
        match self.free().room.get_mut(job) {
            None => true,
            Some(0) => false,
            Some(room) => {
                *room -= 1;
                true
            }
        }
    }

    /// Gives back the room that a running job had.
    pub(super) fn leave(&self, job: &str) {
        let mut free = self.free();
        if let Some(room) = free.room.get_mut(job) {
            *room += 1;
            drop(free);
            self.freed.notify_one();
        }
    }

    /// Waits until a slot or some room was freed.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Waits until one of these shares has a slot.
    pub(super) async fn freed_of(&self, shares: &[usize]) {
        loop {
            self.freed.notified().await;
            let free = self.free();
            if shares.iter().any(|share| free.slots[*share] > 0) {
                return;
            }
        }
    }
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_reserved_for_a_claim_is_closed_to_others() {
        let slots = Slots::new(
            vec![Share::new(["a"], 10)],
            100,
            [("limited", 2)].into_iter(),
        );
        assert!(slots.enter("limited"));
        let reserved = slots.reserve_room();
        assert_eq!(reserved, [("limited", 1)]);
        assert!(!slots.enter("limited"));
        assert!(slots.enter("free"));
        slots.return_room("limited", 1);
        slots.leave("limited");
        assert_eq!(slots.reserve_room(), [("limited", 2)]);
    }

    #[test]
    fn bytes_may_go_beyond_by_one_program() {
        let slots = Slots::new(vec![Share::new(["a"], 2)], 100, std::iter::empty());
        slots.take(large(0));
        assert_eq!(slots.available(), (vec![0], 0));
        slots.release(&[large(0)]);
        assert_eq!(
            slots.available(),
            (vec![2], 100),
            "and leave no more than there was"
        );
    }

    #[test]
    fn each_share_has_its_own_slots_and_may_go_beyond_by_one_program() {
        let shares = vec![Share::new(["a"], 2), Share::new(["b", "c"], 3)];
        let slots = Slots::new(shares, 100, std::iter::empty());
        assert_eq!(
            ["a", "b", "c"].map(|queue| slots.share_of(queue)),
            [0, 1, 1]
        );
        slots.take(large(0));
        assert_eq!(slots.available(), (vec![0, 3], 0), "nothing of b runs");
        slots.take(large(1));
        assert_eq!(slots.available(), (vec![0, 0], 0));
        slots.release(&[large(0), large(1)]);
        slots.take(Load {
            bytes: 1,
            ..large(0)
        });
        assert_eq!(slots.available(), (vec![1, 3], 99));
    }

    fn large(share: usize) -> Load {
        Load {
            share,
            bytes: 1000,
            suspect: false,
        }
    }
}
