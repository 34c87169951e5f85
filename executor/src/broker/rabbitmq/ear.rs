//! What a worker hears of RabbitMQ, and what it claims.
//!
//! With permits in hand, a claim takes as many of the best due programs of their queue. Behind that the
//! store is looked at by itself: when it rings or something has become due there, when nothing was
//! delivered for a second, and a little of it each second while messages come, so that a program whose
//! message was lost does not wait for the end of all others.
//!
//! A worker that has no free slot for a while settles what it holds and cancels its consumers: others are
//! to have the messages. It then claims from the store, slot by slot, and hears again when nothing more is
//! due there. A moment without a free slot is no reason for that: it would cost more than it saves.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::{consumer::Consumer, lane::PermitEars, permits::Permits};
use crate::{
    broker::{Ask, BrokerFuture, By, Ear},
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
    queues: Vec<String>,
    permits: Arc<Permits>,
    consumer: JoinHandle<()>,
    /// The store has rung.
    rung: bool,
    /// More was due than there were slots, or the consumers are cancelled.
    behind: bool,
    /// When the store was looked at last.
    looked: Instant,
    /// Whether the claim under way is for a part of the free slots.
    trickle: bool,
}

impl<'a> RabbitEar<'a> {
    pub(super) fn new(
        store: Box<dyn Listener + 'a>,
        queues: &[String],
        consumer: Consumer<PermitEars>,
    ) -> Self {
        Self {
            store,
            queues: queues.to_vec(),
            permits: Arc::clone(&consumer.ears.permits),
            consumer: tokio::spawn(consumer.run()),
            rung: false,
            behind: false,
            looked: Instant::now(),
            trickle: false,
        }
    }

    fn ask_the_store(&mut self, slots: usize) -> Ask {
        self.looked = Instant::now();
        self.permits.take_all();
        Ask {
            queues: self.queues.clone(),
            slots,
            by: By::Store,
        }
    }
}

impl Drop for RabbitEar<'_> {
    fn drop(&mut self) {
        self.consumer.abort();
    }
}

impl Ear for RabbitEar<'_> {
    fn ask(&mut self, free: usize, due: bool) -> Option<Ask> {
        self.permits.put_back();
        let looks = self.looked.elapsed() >= self.slow_poll();
        let silent =
            looks && (!self.permits.hear_all() || self.permits.last().elapsed() >= SILENCE);
        self.trickle = false;
        if due || self.rung || self.behind || silent {
            self.store.mark();
            self.rung = false;
            return Some(self.ask_the_store(free));
        }
        if looks {
            self.trickle = true;
            return Some(self.ask_the_store((free / TRICKLE).max(1)));
        }
        let (queue, slots) = self.permits.take(free)?;
        Some(Ask {
            queues: vec![queue],
            slots,
            by: By::Permits,
        })
    }

    fn answered(&mut self, ask: &Ask, taken: usize, more: bool) {
        match ask.by {
            By::Permits => self.permits.used(ask.slots),
            // What lies behind what was taken keeps its permits.
            By::Store if more => {
                self.permits.used(taken);
                self.behind |= !self.trickle;
            }
            // Nothing more is due: these permits are for what others have taken.
            By::Store => {
                self.permits.used(usize::MAX);
                if !self.trickle {
                    self.behind = false;
                    self.permits.want();
                }
            }
        }
        self.permits.put_back();
    }

    fn full(&mut self) -> BrokerFuture<'_> {
        Box::pin(async {
            tokio::time::sleep(FULL).await;
            self.behind = true;
            self.permits.give_up();
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
            if self.permits.any() {
                return;
            }
            tokio::select! {
                () = self.store.changed(FOR_EVER) => self.rung = true,
                () = self.permits.news() => {}
                () = tokio::time::sleep(at_most) => {}
            }
        })
    }
}
