//! What a worker hears of program-executor's queues, and what it claims.
//!
//! Before each claim, as many of the programs that messages name are taken into the store as there are free
//! slots; the claim takes the best of all that is due there. The store is looked at by itself when it rings
//! or something becomes due, and once a second.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::{
    inbox::{Held, Inbox, Verdict},
    lane::InteropEars,
};
use crate::{
    broker::{Ask, BrokerFuture, By, Ear, Prepared, rabbitmq::consumer::Consumer},
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
    /// The store's.
    queues: Vec<String>,
    inbox: Arc<Inbox>,
    consumer: JoinHandle<()>,
    /// The store has rung.
    rung: bool,
    /// More was due than there were slots.
    behind: bool,
    /// When the store was looked at last.
    looked: Instant,
}

impl<'a> InteropEar<'a> {
    pub(in crate::broker::rabbitmq) fn new(
        store: &'a dyn Store,
        queues: &[String],
        consumer: Consumer<InteropEars>,
    ) -> Self {
        Self {
            store,
            listener: store.listener(),
            queues: queues.to_vec(),
            inbox: Arc::clone(&consumer.ears.inbox),
            consumer: tokio::spawn(consumer.run()),
            rung: false,
            behind: false,
            looked: Instant::now(),
        }
    }
}

impl Drop for InteropEar<'_> {
    fn drop(&mut self) {
        self.consumer.abort();
    }
}

impl Ear for InteropEar<'_> {
    fn ask(&mut self, free: usize, due: bool) -> Option<Ask> {
        let looks = self.looked.elapsed() >= self.slow_poll();
        if !(due || self.rung || self.behind || looks || self.inbox.any()) {
            return None;
        }
        self.listener.mark();
        self.rung = false;
        self.looked = Instant::now();
        Some(Ask {
            queues: self.queues.clone(),
            slots: free,
            by: By::Store,
        })
    }

    fn prepare<'s>(&'s mut self, ask: &'s Ask) -> Prepared<'s> {
        let held = self.inbox.take(ask.slots);
        Box::pin(take_in(self.store, &self.inbox, held))
    }

    fn answered(&mut self, ask: &Ask, taken: usize, more: bool) {
        self.behind = more;
        if taken < ask.slots {
            self.inbox.want();
        }
    }

    fn full(&mut self) -> BrokerFuture<'_> {
        Box::pin(async {
            tokio::time::sleep(FULL).await;
            self.behind = true;
            self.inbox.give_up();
            std::future::pending::<()>().await;
        })
    }

    fn slow_poll(&self) -> Duration {
        if self.inbox.hear_all() { LOOK } else { DEAF }
    }

    fn heard(&mut self, at_most: Duration) -> BrokerFuture<'_> {
        Box::pin(async move {
            if self.inbox.any() {
                return;
            }
            tokio::select! {
                () = self.listener.changed(FOR_EVER) => self.rung = true,
                () = self.inbox.news() => {}
                () = tokio::time::sleep(at_most) => {}
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
