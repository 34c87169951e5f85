//! The dispatcher: claims programs as their broker and the store have them, and starts them.
//!
//! It takes capacity before work: a claim asks for no more than is free. What it asks for besides, and when,
//! its [`Ear`] says. When the store is away, claims are tried again with growing pauses.

use std::{
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{Shared, claim, outage::Trade, record};
use crate::{broker::Ear, retry::back_off};

/// Claims and starts programs until the shutdown.
pub(super) async fn until(
    shared: &Arc<Shared>,
    programs: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    let worker = record(shared.id, &shared.config);
    let mut ear = shared.broker.ear(&*shared.store, &worker);
    let mut known = Known::default();
    let mut failed = 0u32;
    loop {
        while programs.try_join_next().is_some() {}
        if poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready())).await {
            return;
        }
        // A claim is never dropped half way: a shutdown waits for it, and what it took is given
        // back.
        let next = match claim::claim(shared, programs, &mut *ear, &mut known).await {
            Ok(next) => {
                shared.outage.is_over(Trade::Claims);
                failed = 0;
                next
            }
            Err(error) => {
                shared.outage.begins(Trade::Claims, &error);
                failed += 1;
                Next::After(back_off(failed))
            }
        };
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            () = wait(shared, &mut *ear, &mut known, next) => {}
        }
    }
}

/// When to claim again.
#[derive(Debug)]
pub(super) enum Next {
    /// As soon as a slot is free.
    WhenFreed,
    /// When something is heard or becomes due; or, where something due had no room, when some is freed.
    WhenHeard,
    /// After a pause.
    After(Duration),
}

/// What is known of the programs in the store.
#[derive(Debug)]
pub(super) struct Known {
    /// When something becomes due by itself.
    pub(super) next_due: Option<Instant>,
    /// Whether something that is due had no room.
    pub(super) no_room: bool,
    /// The shares that had no free slot: what is due there was not asked for.
    pub(super) full: Vec<usize>,
}

impl Default for Known {
    /// Nothing is known, and all may be due.
    fn default() -> Self {
        Self {
            next_due: Some(Instant::now()),
            no_room: false,
            full: Vec::new(),
        }
    }
}

async fn wait(shared: &Shared, ear: &mut (dyn Ear + '_), known: &mut Known, next: Next) {
    match next {
        Next::WhenFreed => tokio::select! {
            () = shared.slots.freed() => {}
            () = ear.full() => {}
        },
        Next::WhenHeard => {
            let now = Instant::now();
            let next_due = known.next_due.map(|at| at.saturating_duration_since(now));
            let slow_poll = ear.slow_poll();
            let at_most = next_due.map_or(slow_poll, |due| due.min(slow_poll));
            tokio::select! {
                () = ear.heard(at_most.max(Duration::from_millis(1))) => {}
                () = shared.slots.freed(), if known.no_room => known.next_due = Some(Instant::now()),
                () = shared.slots.freed_of(&known.full), if !known.no_room && !known.full.is_empty() => {}
            }
        }
        Next::After(pause) => tokio::time::sleep(pause).await,
    }
}
