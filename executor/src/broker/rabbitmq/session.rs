//! What goes on on a connection that announces: batches on their way, and which queues are there.

use std::{
    collections::HashMap,
    pin::pin,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{sync::oneshot, time::timeout};

use super::{
    interop, message,
    queues::{self, Names, Sort},
    relay::{Burial, Order, Own},
    trouble::Part,
    wire::pause,
};
use crate::{
    broker::{Announcement, UNANNOUNCED},
    error::{Error, ErrorKind, Result},
    run_id::RunId,
    store::Store,
};

/// Batches that wait for their confirms at most.
const WINDOW: usize = 8;
/// How long RabbitMQ may take to confirm.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long a queue that RabbitMQ has refused is left alone. One that has just started refuses queues
/// which it does not have ready yet.
const REFUSED: Duration = Duration::from_secs(5);

/// What became of a batch.
pub(super) struct Sent {
    number: u64,
    /// Where a message came back: the queue is gone.
    returned: Vec<ShortString>,
    /// Who waits for it.
    done: Option<oneshot::Sender<()>>,
}

/// Who wants to know that a message has arrived.
enum Receipt {
    Nobody,
    /// The store, of a new program.
    Store(RunId),
    /// Who gives the program away.
    Giver(oneshot::Sender<bool>),
}

pub(super) struct Session<'a> {
    own: &'a Own,
    connection: &'a Connection,
    channel: Channel,
    declared: HashMap<String, Declared>,
    under_way: FuturesUnordered<BoxFuture<'a, Result<Sent>>>,
    unconfirmed: u64,
    flushes: Vec<oneshot::Sender<()>>,
}

/// What is known of a queue.
#[derive(Clone)]
enum Declared {
    There(ShortString),
    /// RabbitMQ refuses it; when to ask again.
    Refused(Instant),
}

/// A message on its way.
struct Message {
    queue: ShortString,
    body: Vec<u8>,
    properties: BasicProperties,
    receipt: Receipt,
}

impl<'a> Session<'a> {
    pub(super) async fn begin(own: &'a Own, connection: &'a Connection) -> Result<Self> {
        let begun = async {
            let channel = connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            Ok::<_, Error>(channel)
        };
        Ok(Self {
            own,
            connection,
            channel: timeout(PATIENCE, begun).await.map_err(|_| silent())??,
            declared: HashMap::new(),
            under_way: FuturesUnordered::new(),
            unconfirmed: 0,
            flushes: Vec::new(),
        })
    }

    /// Whether another batch may be sent on its way.
    pub(super) fn has_room(&self) -> bool {
        self.under_way.len() < WINDOW
    }

    /// The next batch that was confirmed, where some are under way.
    pub(super) async fn next(&mut self) -> Option<Result<Sent>> {
        self.under_way.next().await
    }

    /// Announcements that were sent, and not confirmed.
    pub(super) fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    /// Sends a batch on its way; its confirms are awaited later.
    pub(super) async fn send(&mut self, batch: &mut Vec<Order>) -> Result<()> {
        let mut messages = Vec::with_capacity(batch.len());
        let mut refused = 0;
        for order in batch.drain(..) {
            match order {
                Order::Announce(announcement) => match self.message(&announcement).await? {
                    Some(mut message) => {
                        if announcement.left.is_some() {
                            message.receipt = Receipt::Store(announcement.run_id);
                        }
                        messages.push(message);
                    }
                    None => refused += 1,
                },
                // Who gives it away learns from a receipt that is dropped that it has not arrived.
                Order::HandOver(announcement, giver) => {
                    if let Some(mut message) = self.message(&announcement).await? {
                        message.receipt = Receipt::Giver(giver);
                        messages.push(message);
                    }
                }
                Order::Bury(burial) => self.bury(burial).await?,
                Order::Flush(done) => self.flushes.push(done),
            }
        }
        self.own.let_go(refused);
        if !messages.is_empty() {
            self.publish(messages, None);
        }
        Ok(())
    }

    /// The message for an announcement; `None`: RabbitMQ refuses its queue now.
    async fn message(&mut self, announcement: &Announcement) -> Result<Option<Message>> {
        let name = self.own.names.of(&announcement.queue);
        let (sort, body, properties) = match &announcement.left {
            None => {
                let properties = persistent().with_content_type("application/json".into());
                (
                    Sort::Programs,
                    message::write(&announcement.run_id),
                    properties,
                )
            }
            Some(left) => {
                // What is dead-lettered by a queue goes to this one: it is to be there first.
                self.declared(Names::retry(&name), Sort::Retry).await?;
                let properties = BasicProperties::default().with_timestamp(now());
                (Sort::Shared, interop::write(announcement, left), properties)
            }
        };
        let queue = self.declared(name, sort).await?;
        Ok(queue.map(|queue| Message {
            queue,
            body,
            properties,
            receipt: Receipt::Nobody,
        }))
    }

    async fn bury(&mut self, burial: Burial) -> Result<()> {
        let name = Names::dead(&burial.name);
        let mut headers = FieldTable::default();
        let text = |text: String| AMQPValue::LongString(text.into());
        headers.insert("x-reason".into(), text(burial.reason));
        headers.insert("x-queue".into(), text(burial.name));
        if let Some(queue) = self.declared(name, Sort::Dead).await? {
            let dead = Message {
                queue,
                body: burial.body,
                properties: persistent().with_headers(headers),
                receipt: Receipt::Nobody,
            };
            self.publish(vec![dead], Some(burial.done));
        }
        Ok(())
    }

    fn publish(&mut self, messages: Vec<Message>, done: Option<oneshot::Sender<()>>) {
        self.unconfirmed += messages.len() as u64;
        let store = &*self.own.store;
        let sending = publish(self.connection, self.channel.clone(), store, messages, done);
        self.under_way.push(Box::pin(sending));
    }

    /// The queue, once it is there; `None`: RabbitMQ refuses it now.
    async fn declared(&mut self, name: String, sort: Sort) -> Result<Option<ShortString>> {
        match self.declared.get(&name) {
            Some(Declared::There(queue)) => return Ok(Some(queue.clone())),
            Some(Declared::Refused(until)) if Instant::now() < *until => return Ok(None),
            _ => {}
        }
        let part = Part::Queue(name.clone());
        let asked = timeout(PATIENCE, queues::declare(self.connection, &name, sort));
        match asked.await.map_err(|_| silent())? {
            Ok(()) => {
                self.own.trouble.is_over(&part);
                let queue = ShortString::from(name.as_str());
                let there = Declared::There(queue.clone());
                self.declared.insert(name, there);
                Ok(Some(queue))
            }
            Err(error) if !self.connection.status().connected() => Err(error),
            Err(error) => {
                self.own.trouble.begins(part, &error);
                let refused = Declared::Refused(Instant::now() + REFUSED);
                self.declared.insert(name, refused);
                Ok(None)
            }
        }
    }

    pub(super) fn has_sent(&mut self, sent: Sent) {
        self.unconfirmed -= sent.number;
        for name in &sent.returned {
            self.declared.remove(name.as_str());
        }
        self.own.let_go(sent.returned.len() as u64);
        if let (Some(done), true) = (sent.done, sent.returned.is_empty()) {
            // A worker that has stopped does not wait any more.
            let _ = done.send(());
        }
    }

    /// Tells those who wait until all is told.
    pub(super) fn answer(&mut self) {
        if self.under_way.is_empty() {
            for flush in self.flushes.drain(..) {
                let _ = flush.send(());
            }
        }
    }

    /// Waits for what is under way, when nobody is there any more.
    pub(super) async fn finish(&mut self) -> Result<()> {
        while let Some(sent) = self.under_way.next().await {
            self.has_sent(sent?);
        }
        self.answer();
        Ok(())
    }
}

fn persistent() -> BasicProperties {
    const PERSISTENT: u8 = 2;
    BasicProperties::default().with_delivery_mode(PERSISTENT)
}

fn silent() -> Error {
    let message = format!("RabbitMQ has not answered within {PATIENCE:?}");
    Error::new(ErrorKind::Store, message)
}

/// Milliseconds since the Unix epoch, as program-executor has them in its messages: nobody counts by them.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0))
}

/// Publishes messages, and waits for their confirms: not for ever, but as long as RabbitMQ says that it
/// takes nothing now.
async fn publish(
    connection: &Connection,
    channel: Channel,
    store: &dyn Store,
    messages: Vec<Message>,
    done: Option<oneshot::Sender<()>>,
) -> Result<Sent> {
    let number = messages.len() as u64;
    let mut confirmed = pin!(confirmed(&channel, messages));
    loop {
        match timeout(PATIENCE, &mut confirmed).await {
            Ok(Ok((returned, announced))) => {
                note(store, announced).await;
                return Ok(Sent {
                    number,
                    returned,
                    done,
                });
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) if connection.status().blocked() => {}
            Err(_) => return Err(silent()),
        }
    }
}

/// Tells the store which new programs have become RabbitMQ's. It is tried again while the store is away,
/// and for no longer than these programs are left alone for.
async fn note(store: &dyn Store, announced: Vec<RunId>) {
    if announced.is_empty() {
        return;
    }
    let began = Instant::now();
    let mut failed = 0;
    while began.elapsed() < UNANNOUNCED {
        match store.announced(announced.clone()).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "that programs were announced can't be noted"),
        }
        failed += 1;
        tokio::time::sleep(pause(failed)).await;
    }
}

/// Publishes, and gives the queues of those that came back, and the new programs that have arrived.
async fn confirmed(
    channel: &Channel,
    messages: Vec<Message>,
) -> lapin::Result<(Vec<ShortString>, Vec<RunId>)> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let mut confirms = Vec::with_capacity(messages.len());
    for Message {
        queue,
        body,
        properties,
        receipt,
    } in messages
    {
        let published = channel
            .basic_publish("".into(), queue.clone(), options, &body, properties)
            .await?;
        confirms.push((queue, published, receipt));
    }
    let (mut returned, mut announced) = (Vec::new(), Vec::new());
    for (queue, confirm, receipt) in confirms {
        match (confirm.await?, receipt) {
            (Confirmation::Ack(None), Receipt::Nobody) => {}
            (Confirmation::Ack(None), Receipt::Store(run_id)) => announced.push(run_id),
            (Confirmation::Ack(None), Receipt::Giver(giver)) => {
                // A worker that has stopped does not wait any more.
                let _ = giver.send(true);
            }
            // Come back, or refused: a queue that is full, or on its way out.
            _ => returned.push(queue),
        }
    }
    Ok((returned, announced))
}
