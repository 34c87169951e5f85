//! Hears a queue whose messages name programs.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture};
use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    },
    types::FieldTable,
};
use tokio::time::{Instant, timeout_at};

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

/// So many messages for others are passed on within this time before the worker steps aside.
const POLITE: u32 = 4;
const WINDOW: Duration = Duration::from_secs(1);
/// How long the queue is left to others then.
const ASIDE: Duration = Duration::from_millis(500);

/// Ears for messages that name programs.
pub(in crate::broker::rabbitmq) struct InteropEars {
    pub(in crate::broker::rabbitmq) inbox: Arc<Inbox>,
    pub(in crate::broker::rabbitmq) queues: Vec<String>,
    pub(in crate::broker::rabbitmq) trouble: Arc<Trouble>,
    /// Messages that are held of each queue at most.
    pub(in crate::broker::rabbitmq) prefetch: Vec<u16>,
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
            .basic_qos(self.prefetch[lane], BasicQosOptions::default())
            .await?;
        self.inbox.begin(lane);
        let mut foreign = Foreign::default();
        loop {
            while !self.inbox.wanted(lane) {
                self.inbox.passed(lane).await;
            }
            self.consume(&channel, lane, name, &mut foreign).await?;
            if foreign.steps_aside(Instant::now()) {
                let end = Instant::now() + ASIDE;
                while timeout_at(end, self.inbox.passed(lane)).await.is_ok() {
                    self.settle(&channel, lane).await?;
                }
                let company = queues::consumers(&channel, name).await? > 0;
                foreign.begin(Instant::now(), company);
            }
        }
    }

    /// Takes messages until the worker wants no more, or leaves the queue to others for a moment.
    async fn consume(
        &self,
        channel: &Channel,
        lane: usize,
        name: &str,
        foreign: &mut Foreign,
    ) -> Result<()> {
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
                        match self.take(message, lane, name) {
                            None => {}
                            Some(Verdict::Later) => settle(channel, tag, foreign.verdict(Instant::now())).await?,
                            Some(verdict) => settle(channel, tag, verdict).await?,
                        }
                    }
                    None if cancelled => break,
                    None => return Err(deleted()),
                },
                () = self.inbox.passed(lane) => {}
            }
            self.settle(channel, lane).await?;
            if !cancelled && (!self.inbox.wanted(lane) || foreign.steps_aside(Instant::now())) {
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

/// Messages for jobs that this worker lacks. They come again after a second, and where there are many of them,
/// those whose jobs they are would mostly find the queue empty: so after some of them the worker puts the
/// others back and leaves the queue alone for a moment, as long as somebody else hears it.
struct Foreign {
    since: Instant,
    met: u32,
    /// Whether somebody else hears the queue, as far as is known.
    company: bool,
}

impl Default for Foreign {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            met: 0,
            company: true,
        }
    }
}

impl Foreign {
    /// What becomes of the next one.
    fn verdict(&mut self, now: Instant) -> Verdict {
        if now - self.since >= WINDOW && self.met <= POLITE {
            self.begin(now, self.company);
        }
        self.met += 1;
        match self.company && self.steps_aside(now) {
            true => Verdict::Return,
            false => Verdict::Later,
        }
    }

    /// Whether it was enough of them. Without company it is time to look whether there is some again.
    fn steps_aside(&self, now: Instant) -> bool {
        self.met > POLITE && (self.company || now - self.since >= WINDOW)
    }

    fn begin(&mut self, now: Instant, company: bool) {
        *self = Self {
            since: now,
            met: 0,
            company,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_in_company_are_messages_left_to_others() {
        let mut foreign = Foreign::default();
        let now = foreign.since;
        for _ in 0..POLITE {
            assert_eq!(foreign.verdict(now), Verdict::Later);
            assert!(!foreign.steps_aside(now));
        }
        assert_eq!(foreign.verdict(now), Verdict::Return);
        assert!(foreign.steps_aside(now));
        foreign.begin(now, false);
        for _ in 0..100 {
            assert_eq!(foreign.verdict(now), Verdict::Later);
        }
        assert!(!foreign.steps_aside(now));
        // It is looked now and then whether somebody has come.
        assert!(foreign.steps_aside(now + WINDOW));
    }

    #[test]
    fn a_few_now_and_then_are_passed_on() {
        let mut foreign = Foreign::default();
        let mut now = foreign.since;
        for _ in 0..100 {
            assert_eq!(foreign.verdict(now), Verdict::Later);
            assert!(!foreign.steps_aside(now));
            now += WINDOW / POLITE;
        }
    }
}
