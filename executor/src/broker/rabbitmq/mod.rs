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
mod interop;
mod lane;
mod look;
mod message;
mod permits;
mod queues;
mod relay;
mod session;
mod trouble;
mod wire;

use std::sync::Arc;

use self::{
    consumer::Consumer,
    ear::RabbitEar,
    interop::{Inbox, InteropEar, InteropEars},
    lane::PermitEars,
    permits::Permits,
    queues::Names,
    relay::Relay,
    trouble::Trouble,
    wire::Wire,
};
use super::{Announcement, Broker, BrokerFuture, Ear, HandingOver, Looking};
use crate::{
    config::{AmqpUrl, Config, Share, UnknownJob},
    error::Result,
    job::Registry,
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
        takes_all: config.worker.unknown_job != UnknownJob::Wait,
    }))
}

struct RabbitMq {
    wire: Arc<Wire>,
    names: Arc<Names>,
    trouble: Arc<Trouble>,
    relay: Arc<Relay>,
    /// Whether messages for jobs that are not known here are taken as well.
    takes_all: bool,
}

impl Broker for RabbitMq {
    fn takes(&self) -> bool {
        self.relay.takes()
    }

    fn is_shared(&self) -> bool {
        self.names.are_shared()
    }

    fn hand_over(&self, announcement: Announcement) -> HandingOver<'_> {
        Box::pin(self.relay.hand_over(announcement))
    }

    fn announce(&self, announcement: Announcement) {
        self.relay.announce(announcement);
    }

    fn flush(&self) -> BrokerFuture<'_> {
        Box::pin(self.relay.flush())
    }

    fn look<'a>(&'a self, queues: &'a [String]) -> Looking<'a> {
        Box::pin(look::look(&self.wire, &self.names, queues))
    }

    fn ear<'a>(&self, store: &'a dyn Store, worker: &WorkerRecord) -> Box<dyn Ear + 'a> {
        let queues = Share::queues(&worker.shares).into_iter();
        let queues: Vec<String> = queues.map(|(_, queue)| queue.clone()).collect();
        if self.names.are_shared() {
            let queues = self.names.shared(&queues);
            let ears = InteropEars {
                inbox: Arc::new(Inbox::new(queues.len())),
                prefetch: prefetches(&queues, &worker.shares),
                queues,
                trouble: Arc::clone(&self.trouble),
                // A worker that has none does not come as far as this.
                knows: Registry::global().ok().filter(|_| !self.takes_all),
            };
            let consumer = self.consumer(worker, ears);
            return Box::new(InteropEar::new(store, &worker.shares, consumer));
        }
        let ears = PermitEars {
            permits: Arc::new(Permits::new(&queues)),
            names: Arc::clone(&self.names),
            relay: Arc::clone(&self.relay),
            trouble: Arc::clone(&self.trouble),
            prefetch: prefetches(&queues, &worker.shares),
        };
        let consumer = self.consumer(worker, ears);
        Box::new(RabbitEar::new(store.listener(), &worker.shares, consumer))
    }
}

impl RabbitMq {
    fn consumer<H>(&self, worker: &WorkerRecord, ears: H) -> Consumer<H> {
        Consumer {
            wire: Arc::clone(&self.wire),
            trouble: Arc::clone(&self.trouble),
            name: format!(
                "executor worker {} on {} ({})",
                worker.id, worker.host, worker.pid
            ),
            ears: Arc::new(ears),
        }
    }
}

/// How many messages a worker holds of each of these queues: one for each of its slots, and no more than a
/// claim can use at once.
fn prefetches(queues: &[String], shares: &[Share]) -> Vec<u16> {
    const MOST: u16 = 1000;
    let prefetch = |queue: &String| {
        let share = shares.iter().find(|share| share.queues.contains(queue));
        let slots = share.map_or(1, |share| share.slots);
        u16::try_from(slots).unwrap_or(MOST).clamp(1, MOST)
    };
    queues.iter().map(prefetch).collect()
}
