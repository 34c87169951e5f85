//! Hears a queue whose messages are permits.

use std::{convert::Infallible, sync::Arc};

use futures_util::{StreamExt, future::BoxFuture};
use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::task::JoinSet;

use super::{
    consumer::{Hears, deleted},
    message,
    permits::Permits,
    queues::{self, Names, Sort},
    relay::Relay,
    trouble::{Part, Trouble},
};
use crate::error::Result;

/// Ears for permits.
pub(super) struct PermitEars {
    pub(super) permits: Arc<Permits>,
    pub(super) names: Arc<Names>,
    pub(super) relay: Arc<Relay>,
    pub(super) trouble: Arc<Trouble>,
    /// Messages that are held of each queue at most.
    pub(super) prefetch: Vec<u16>,
}

impl Hears for PermitEars {
    fn names(&self) -> Vec<String> {
        let queues = self.permits.queues();
        queues.map(|queue| self.names.of(queue)).collect()
    }

    fn begin(&self, lane: usize) {
        self.permits.begin(lane);
    }

    fn hear<'a>(
        &'a self,
        connection: &'a Connection,
        lane: usize,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Infallible>> {
        let lane = Lane {
            ears: self,
            at: lane,
            name,
        };
        Box::pin(async move { lane.hear(connection).await })
    }
}

/// A queue of the worker's.
struct Lane<'a> {
    ears: &'a PermitEars,
    at: usize,
    name: &'a str,
}

impl Lane<'_> {
    /// Hears the queue on a channel, until that breaks.
    async fn hear(&self, connection: &Connection) -> Result<Infallible> {
        queues::declare(connection, self.name, Sort::Programs).await?;
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(self.ears.prefetch[self.at], BasicQosOptions::default())
            .await?;
        self.ears.permits.begin(self.at);
        let mut burials = JoinSet::new();
        loop {
            while !self.ears.permits.wanted(self.at) {
                self.ears.permits.settled(self.at).await;
            }
            self.consume(&channel, &mut burials).await?;
        }
    }

    /// Takes messages until the worker wants no more.
    async fn consume(&self, channel: &Channel, burials: &mut JoinSet<u64>) -> Result<()> {
        let options = BasicConsumeOptions::default();
        let mut messages = channel
            .basic_consume(self.name.into(), "".into(), options, FieldTable::default())
            .await?;
        self.ears.permits.hears(self.at);
        let part = Part::Queue(self.name.to_owned());
        self.ears.trouble.is_over(&part);
        let mut cancelled = false;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.take(message?, burials),
                    None if cancelled => break,
                    None => return Err(deleted()),
                },
                () = self.ears.permits.settled(self.at) => {}
                Some(buried) = burials.join_next() => {
                    // The task has no panic of its own, and nobody aborts it.
                    if let Ok(tag) = buried {
                        self.ears.permits.settle(self.at, tag);
                    }
                }
            }
            self.acknowledge(channel).await?;
            if !cancelled && !self.ears.permits.wanted(self.at) {
                cancelled = true;
                // What is on its way comes before the end of the messages.
                channel
                    .basic_cancel(messages.tag(), BasicCancelOptions::default())
                    .await?;
            }
        }
        self.acknowledge(channel).await
    }

    fn take(&self, delivery: Delivery, burials: &mut JoinSet<u64>) {
        let tag = delivery.delivery_tag;
        let read = message::read(&delivery.data);
        self.ears.permits.delivered(self.at, tag, read.is_ok());
        if let Err(reason) = read {
            tracing::warn!(queue = self.name, reason, "a message can't be read");
            let relay = Arc::clone(&self.ears.relay);
            let bury = relay.bury(self.name.to_owned(), delivery.data, reason);
            burials.spawn(async move {
                bury.await;
                tag
            });
        }
    }

    async fn acknowledge(&self, channel: &Channel) -> Result<()> {
        if let Some(tag) = self.ears.permits.acknowledge(self.at) {
            let options = BasicAckOptions { multiple: true };
            channel.basic_ack(tag, options).await?;
        }
        Ok(())
    }
}
