//! The store as its own broker: whoever writes something that is due rings its bell.

use std::{sync::Arc, time::Duration};

use super::{Announcement, Ask, Broker, BrokerFuture, By, Ear};
use crate::{
    config::Share,
    store::{Listener, Store, WorkerRecord},
};

pub(super) struct Database;

impl Broker for Database {
    fn takes(&self) -> bool {
        false
    }

    fn announce(&self, _: Announcement) {}

    fn flush(&self) -> BrokerFuture<'_> {
        Box::pin(std::future::ready(()))
    }

    fn ear<'a>(&self, store: &'a dyn Store, worker: &WorkerRecord) -> Box<dyn Ear + 'a> {
        Box::new(Bell {
            listener: store.listener(),
            shares: worker.shares.clone(),
        })
    }
}

struct Bell<'a> {
    listener: Box<dyn Listener + 'a>,
    shares: Vec<Share>,
}

impl Ear for Bell<'_> {
    fn ask(&mut self, free: &[usize], _due: bool) -> Option<Ask> {
        self.listener.mark();
        let with_slots = self.shares.iter().zip(free).filter(|(_, free)| **free > 0);
        let shares = with_slots.map(|(share, free)| Share {
            queues: Arc::clone(&share.queues),
            slots: *free,
        });
        Some(Ask {
            shares: shares.collect(),
            by: By::Store,
        })
    }

    fn answered(&mut self, _: &Ask, _taken: &[usize], _more: bool) {}

    fn full(&mut self) -> BrokerFuture<'_> {
        Box::pin(std::future::pending())
    }

    fn slow_poll(&self) -> Duration {
        self.listener.slow_poll()
    }

    fn heard(&mut self, at_most: Duration) -> BrokerFuture<'_> {
        self.listener.changed(at_most)
    }
}
