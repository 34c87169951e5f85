//! Hears messages for a worker, on a connection of its own: a channel a queue.
//!
//! It never ends by itself. A connection that breaks is made anew after a pause, and so is a channel that
//! RabbitMQ closes, or whose queue was deleted: one queue's trouble is no other's. What was delivered and
//! not acknowledged comes again then, which costs a claim that may find nothing.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all};
use lapin::{
    Channel, Connection, Event,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{task::JoinSet, time::Instant};

use super::{
    message,
    permits::Permits,
    queues::{self, Names, Sort},
    relay::Relay,
    trouble::{Part, Trouble},
    wire::{Wire, pause},
};
use crate::error::{Error, ErrorKind, Result};

/// After so long, a connection was a good one.
const LONG: Duration = Duration::from_secs(10);

pub(super) struct Consumer {
    pub(super) wire: Arc<Wire>,
    pub(super) names: Arc<Names>,
    pub(super) relay: Arc<Relay>,
    pub(super) trouble: Arc<Trouble>,
    /// What RabbitMQ shows of the connection.
    pub(super) name: String,
    /// Messages that are held of a queue at most.
    pub(super) prefetch: u16,
}

impl Consumer {
    pub(super) async fn run(self, permits: Arc<Permits>) {
        let mut failed = 0;
        loop {
            let since = Instant::now();
            let error = match self.wire.connect(&self.name).await {
                Ok(connection) => {
                    self.trouble.is_over(&Part::Hearing);
                    self.serve(&connection, &permits).await
                }
                Err(error) => error,
            };
            for lane in 0..permits.queues().count() {
                permits.begin(lane);
            }
            self.trouble.begins(Part::Hearing, &error);
            failed = if since.elapsed() > LONG {
                1
            } else {
                failed + 1
            };
            tokio::time::sleep(pause(failed)).await;
        }
    }

    /// Hears all queues until the connection breaks; why.
    async fn serve(&self, connection: &Connection, permits: &Arc<Permits>) -> Error {
        let lanes = permits.queues().enumerate().map(|(at, queue)| Lane {
            consumer: self,
            connection,
            permits,
            at,
            name: self.names.of(queue),
        });
        let lanes = join_all(lanes.map(|lane| Box::pin(lane.run())).collect::<Vec<_>>());
        let mut events = pin!(connection.events_listener());
        let broken = async {
            while let Some(event) = events.next().await {
                if let Event::Error(error) = event
                    && !connection.status().connected()
                {
                    return error.into();
                }
            }
            gone()
        };
        tokio::select! {
            error = broken => error,
            _ = lanes => gone(),
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Store, "the connection is gone")
}

/// A queue of the worker's.
struct Lane<'a> {
    consumer: &'a Consumer,
    connection: &'a Connection,
    permits: &'a Permits,
    at: usize,
    name: String,
}

impl Lane<'_> {
    /// Hears the queue as long as the connection is there.
    async fn run(self) {
        let mut failed = 0;
        loop {
            let since = Instant::now();
            let Err(error) = self.hear().await;
            self.permits.begin(self.at);
            if !self.connection.status().connected() {
                return;
            }
            let part = Part::Queue(self.name.clone());
            self.consumer.trouble.begins(part, &error);
            failed = if since.elapsed() > LONG {
                1
            } else {
                failed + 1
            };
            tokio::time::sleep(pause(failed)).await;
        }
    }

    /// Hears the queue on a channel, until that breaks.
    async fn hear(&self) -> Result<std::convert::Infallible> {
        queues::declare(self.connection, &self.name, Sort::Programs).await?;
        let channel = self.connection.create_channel().await?;
        let prefetch = self.consumer.prefetch;
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await?;
        self.permits.begin(self.at);
        let mut burials = JoinSet::new();
        loop {
            while !self.permits.wanted() {
                self.permits.settled(self.at).await;
            }
            self.consume(&channel, &mut burials).await?;
        }
    }

    /// Takes messages until the worker wants no more.
    async fn consume(&self, channel: &Channel, burials: &mut JoinSet<u64>) -> Result<()> {
        let options = BasicConsumeOptions::default();
        let name = self.name.as_str();
        let mut messages = channel
            .basic_consume(name.into(), "".into(), options, FieldTable::default())
            .await?;
        self.permits.hears(self.at);
        let part = Part::Queue(self.name.clone());
        self.consumer.trouble.is_over(&part);
        let mut cancelled = false;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.take(message?, burials),
                    None if cancelled => break,
                    None => {
                        let message = "RabbitMQ has ended the consumer: the queue was deleted";
                        return Err(Error::new(ErrorKind::Store, message));
                    }
                },
                () = self.permits.settled(self.at) => {}
                Some(buried) = burials.join_next() => {
                    // The task has no panic of its own, and nobody aborts it.
                    if let Ok(tag) = buried {
                        self.permits.settle(self.at, tag);
                    }
                }
            }
            self.acknowledge(channel).await?;
            if !cancelled && !self.permits.wanted() {
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
        self.permits.delivered(self.at, tag, read.is_ok());
        if let Err(reason) = read {
            tracing::warn!(queue = self.name, reason, "a message can't be read");
            let relay = Arc::clone(&self.consumer.relay);
            let bury = relay.bury(self.name.clone(), delivery.data, reason);
            burials.spawn(async move {
                bury.await;
                tag
            });
        }
    }

    async fn acknowledge(&self, channel: &Channel) -> Result<()> {
        if let Some(tag) = self.permits.acknowledge(self.at) {
            let options = BasicAckOptions { multiple: true };
            channel.basic_ack(tag, options).await?;
        }
        Ok(())
    }
}
