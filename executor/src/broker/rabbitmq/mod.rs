//! RabbitMQ as the broker.
//!
//! Each process has a connection that announces, from its first creation on, and each worker one that
//! hears; two, because RabbitMQ stops reading from one that publishes while it is short of memory or
//! disk. Both are made anew by their own trades when they break ([`relay`], [`consumer`]), told once when
//! that begins and once when it is over. Meanwhile programs go on straight from the store.
//!
//! A message is a permit to claim one program of its queue. Nothing is published twice by design, and
//! nothing depends on a message: what is not announced is found in the store, within a second where a
//! worker has a free slot.

mod consumer;
mod ear;
mod message;
mod permits;
mod queues;
mod relay;
mod session;
mod trouble;
mod wire;

use std::sync::Arc;

use self::{
    consumer::Consumer, ear::RabbitEar, queues::Names, relay::Relay, trouble::Trouble, wire::Wire,
};
use super::{Announcement, Broker, BrokerFuture, Ear};
use crate::{
    config::{AmqpUrl, Config},
    error::Result,
    store::{Store, WorkerRecord},
};

/// RabbitMQ at this URL. It is connected to when it is first needed.
///
/// # Errors
/// The URL can't be read.
pub(super) fn open(
    config: &Config,
    url: &AmqpUrl,
    store: &Arc<dyn Store>,
) -> Result<Arc<dyn Broker>> {
    let wire = Arc::new(Wire::new(url)?);
    let names = Arc::new(Names::new(config));
    let trouble = Arc::new(Trouble::default());
    let relay = Relay::new(
        Arc::clone(&wire),
        Arc::clone(&names),
        Arc::clone(&trouble),
        Arc::clone(store),
    );
    Ok(Arc::new(RabbitMq {
        wire,
        names,
        trouble,
        relay: Arc::new(relay),
    }))
}

struct RabbitMq {
    wire: Arc<Wire>,
    names: Arc<Names>,
    trouble: Arc<Trouble>,
    relay: Arc<Relay>,
}

impl Broker for RabbitMq {
    fn takes(&self) -> bool {
        self.relay.takes()
    }

    fn announce(&self, announcement: Announcement) {
        self.relay.announce(announcement);
    }

    fn flush(&self) -> BrokerFuture<'_> {
        Box::pin(self.relay.flush())
    }

    fn ear<'a>(&self, store: &'a dyn Store, worker: &WorkerRecord) -> Box<dyn Ear + 'a> {
        let consumer = Consumer {
            wire: Arc::clone(&self.wire),
            names: Arc::clone(&self.names),
            relay: Arc::clone(&self.relay),
            trouble: Arc::clone(&self.trouble),
            name: format!(
                "executor worker {} on {} ({})",
                worker.id, worker.host, worker.pid
            ),
            prefetch: prefetch(worker.slots),
        };
        Box::new(RabbitEar::new(store.listener(), &worker.queues, consumer))
    }
}

/// How many messages a worker holds of a queue: one a slot, and no more than a claim can use at once.
fn prefetch(slots: usize) -> u16 {
    const MOST: u16 = 1000;
    u16::try_from(slots).unwrap_or(MOST).clamp(1, MOST)
}
