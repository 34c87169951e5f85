//! Hears a queue whose messages name programs.

use std::{convert::Infallible, sync::Arc};

use futures_util::{StreamExt, future::BoxFuture};
use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    },
    types::FieldTable,
};

use super::{
    inbox::{Inbox, Verdict},
    message,
};
use crate::{
    broker::rabbitmq::{
        consumer::{Hears, deleted},
        queues::{self, Names, Sort},
        trouble::{Part, Trouble},
    },
    error::Result,
    job::Registry,
};

/// Ears for messages that name programs.
pub(in crate::broker::rabbitmq) struct InteropEars {
    pub(in crate::broker::rabbitmq) inbox: Arc<Inbox>,
    pub(in crate::broker::rabbitmq) queues: Vec<String>,
    pub(in crate::broker::rabbitmq) trouble: Arc<Trouble>,
    /// Messages that are held of a queue at most.
    pub(in crate::broker::rabbitmq) prefetch: u16,
    /// The jobs whose messages it takes; `None`: all.
    pub(in crate::broker::rabbitmq) knows: Option<&'static Registry>,
}

impl Hears for InteropEars {
    fn names(&self) -> Vec<String> {
        self.queues.clone()
    }

    fn begin(&self, lane: usize) {
        self.inbox.begin(lane);
    }

    fn hear<'a>(
        &'a self,
        connection: &'a Connection,
        lane: usize,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Infallible>> {
        Box::pin(self.hear(connection, lane, name))
    }
}

impl InteropEars {
    async fn hear(&self, connection: &Connection, lane: usize, name: &str) -> Result<Infallible> {
        // The one that is dead-lettered to comes first: a message for a queue that is not there is lost.
        queues::declare(connection, &Names::retry(name), Sort::Retry).await?;
        queues::declare(connection, name, Sort::Shared).await?;
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(self.prefetch, BasicQosOptions::default())
            .await?;
        self.inbox.begin(lane);
        loop {
            while !self.inbox.wanted() {
                self.inbox.passed(lane).await;
            }
            self.consume(&channel, lane, name).await?;
        }
    }

    /// Takes messages until the worker wants no more.
    async fn consume(&self, channel: &Channel, lane: usize, name: &str) -> Result<()> {
        let options = BasicConsumeOptions::default();
        let mut messages = channel
            .basic_consume(name.into(), "".into(), options, FieldTable::default())
            .await?;
        self.inbox.hears(lane);
        self.trouble.is_over(&Part::Queue(name.to_owned()));
        let mut cancelled = false;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => {
                        let message = message?;
                        let tag = message.delivery_tag;
                        if let Some(verdict) = self.take(message, lane, name) {
                            settle(channel, tag, verdict).await?;
                        }
                    }
                    None if cancelled => break,
                    None => return Err(deleted()),
                },
                () = self.inbox.passed(lane) => {}
            }
            self.settle(channel, lane).await?;
            if !cancelled && !self.inbox.wanted() {
                cancelled = true;
                // What is on its way comes before the end of the messages.
                channel
                    .basic_cancel(messages.tag(), BasicCancelOptions::default())
                    .await?;
            }
        }
        self.settle(channel, lane).await
    }

    /// Reads a message; what becomes of it where it is nothing for this worker.
    fn take(&self, delivery: Delivery, lane: usize, name: &str) -> Option<Verdict> {
        let offer = match message::read(name, &delivery.data) {
            Ok(offer) => offer,
            Err(error) => {
                // program-executor has no queue for what it can't read: it says so, and lets go of it.
                let content = String::from_utf8_lossy(&delivery.data);
                tracing::error!(queue = name, error_message = error, %content, "Consumer error finish");
                return Some(Verdict::Acknowledge);
            }
        };
        let job = &offer.jobs[0];
        if self.knows.is_some_and(|jobs| jobs.get(job).is_none()) {
            tracing::debug!(run_id = offer.run_id, job, "a job that this worker lacks");
            return Some(Verdict::Later);
        }
        self.inbox.delivered(lane, delivery.delivery_tag, offer);
        None
    }

    async fn settle(&self, channel: &Channel, lane: usize) -> Result<()> {
        for (tag, verdict) in self.inbox.verdicts(lane) {
            settle(channel, tag, verdict).await?;
        }
        Ok(())
    }
}

async fn settle(channel: &Channel, tag: u64, verdict: Verdict) -> Result<()> {
    let back = |requeue| BasicNackOptions {
        requeue,
        ..BasicNackOptions::default()
    };
    match verdict {
        Verdict::Acknowledge => channel.basic_ack(tag, BasicAckOptions::default()).await?,
        // The queue's dead letters go to the one from which they come back.
        Verdict::Later => channel.basic_nack(tag, back(false)).await?,
        Verdict::Return => channel.basic_nack(tag, back(true)).await?,
    };
    Ok(())
}
