//! Announces programs, on a connection of its own.
//!
//! It promises that nobody waits for it, and that its memory is bounded: announcements stand in a queue of
//! fixed length, go out in batches, and a few batches wait for RabbitMQ's confirms at a time. What it does
//! not promise is that each arrives: what has no room, what was under way when the connection broke, and
//! what comes while RabbitMQ is away is counted and let go. The store rings then, and workers find those
//! programs by themselves.
//!
//! A queue that was deleted hands its messages back (`mandatory`); it is made anew with the next one.

use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{Connection, Event};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::{
    queues::Names,
    session::{PATIENCE, Session},
    trouble::{Part, Trouble},
    wire::{Wire, pause},
};
use crate::{
    broker::Announcement,
    config::host_name,
    error::{Error, ErrorKind},
    store::Store,
};

/// Announcements that wait at most; one takes about 100 bytes.
const MOST_WAITING: usize = 65_536;
/// Messages of one batch at most.
const BATCH: usize = 500;
/// How long a process that ends waits for its last announcements.
const FLUSH: Duration = Duration::from_secs(5);

pub(super) struct Relay {
    orders: OnceLock<mpsc::Sender<Order>>,
    own: Arc<Own>,
}

/// What its task has.
pub(super) struct Own {
    wire: Arc<Wire>,
    pub(super) names: Arc<Names>,
    pub(super) trouble: Arc<Trouble>,
    pub(super) store: Arc<dyn Store>,
    /// RabbitMQ is away, or takes nothing.
    away: AtomicBool,
    /// Announcements that were let go.
    dropped: AtomicU64,
}

pub(super) enum Order {
    Announce(Announcement),
    Bury(Burial),
    /// A program is given away; whether RabbitMQ has it.
    HandOver(Announcement, oneshot::Sender<bool>),
    Flush(oneshot::Sender<()>),
}

/// A message that can't be read, on its way out.
pub(super) struct Burial {
    pub(super) name: String,
    pub(super) body: Vec<u8>,
    pub(super) reason: String,
    pub(super) done: oneshot::Sender<()>,
}

impl Relay {
    pub(super) fn new(
        wire: Arc<Wire>,
        names: Arc<Names>,
        trouble: Arc<Trouble>,
        store: Arc<dyn Store>,
    ) -> Self {
        let own = Own {
            wire,
            names,
            trouble,
            store,
            away: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        };
        Self {
            orders: OnceLock::new(),
            own: Arc::new(own),
        }
    }

    /// Its task begins with the first order, and ends when the last handle is dropped.
    fn orders(&self) -> &mpsc::Sender<Order> {
        self.orders.get_or_init(|| {
            let (sender, orders) = mpsc::channel(MOST_WAITING);
            tokio::spawn(Arc::clone(&self.own).run(orders));
            sender
        })
    }

    /// Whether announcements go out. Before it is known, they wait.
    pub(super) fn takes(&self) -> bool {
        !self.own.away.load(Ordering::Acquire) && !self.orders().is_closed()
    }

    pub(super) fn announce(&self, announcement: Announcement) {
        let order = Order::Announce(announcement);
        if self.orders().try_send(order).is_err() {
            self.own.let_go(1);
        }
    }

    /// Announces a program, and waits for the confirm; whether it has come.
    pub(super) async fn hand_over(&self, announcement: Announcement) -> bool {
        let (done, confirmed) = oneshot::channel();
        let order = Order::HandOver(announcement, done);
        self.takes() && self.orders().send(order).await.is_ok() && confirmed.await.unwrap_or(false)
    }

    /// Publishes what can't be read to the queue for that, as often as it takes.
    pub(super) async fn bury(self: Arc<Self>, name: String, body: Vec<u8>, reason: String) {
        let mut failed = 0;
        loop {
            let (done, confirmed) = oneshot::channel();
            let burial = Burial {
                name: name.clone(),
                body: body.clone(),
                reason: reason.clone(),
                done,
            };
            let sent = self.orders().send(Order::Bury(burial)).await;
            if sent.is_ok() && confirmed.await.is_ok() {
                return;
            }
            failed += 1;
            tokio::time::sleep(pause(failed)).await;
        }
    }

    pub(super) async fn flush(&self) {
        let Some(orders) = self.orders.get() else {
            return;
        };
        let (done, flushed) = oneshot::channel();
        let flush = async {
            if orders.send(Order::Flush(done)).await.is_ok() {
                let _ = flushed.await;
            }
        };
        // What is not told by then is found.
        let _ = timeout(FLUSH, flush).await;
    }
}

/// Why a connection is no longer served.
enum End {
    /// Nobody is there any more.
    Dropped,
    Broken(Error),
}

impl Own {
    pub(super) fn let_go(&self, number: u64) {
        if number > 0 {
            let before = self.dropped.fetch_add(number, Ordering::Relaxed);
            tracing::debug!(
                number = before + number,
                "announcements let go so far; the store is looked at"
            );
            self.store.ring();
        }
    }

    async fn run(self: Arc<Self>, mut orders: mpsc::Receiver<Order>) {
        let name = format!(
            "executor announcing on {} ({})",
            host_name(),
            std::process::id()
        );
        let mut failed = 0;
        loop {
            let since = Instant::now();
            let error = match self.wire.connect(&name).await {
                Ok(connection) => match self.serve(&connection, &mut orders).await {
                    End::Dropped => {
                        let _ = connection.close(200, "done".into()).await;
                        return;
                    }
                    End::Broken(error) => error,
                },
                Err(error) => error,
            };
            self.away.store(true, Ordering::Release);
            self.trouble.begins(Part::Announcing, &error);
            failed = if since.elapsed() > PATIENCE {
                1
            } else {
                failed + 1
            };
            if !self.rest(&mut orders, pause(failed)).await {
                return;
            }
        }
    }

    /// Lets go what comes while there is nobody to tell; whether somebody is still there.
    async fn rest(&self, orders: &mut mpsc::Receiver<Order>, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut batch = Vec::new();
        while let Ok(number) = timeout_at(until, orders.recv_many(&mut batch, BATCH)).await {
            if number == 0 {
                return false;
            }
            let announced = |order: &Order| matches!(order, Order::Announce(_));
            self.let_go(batch.drain(..).filter(announced).count() as u64);
        }
        true
    }

    /// Announces over this connection until it breaks.
    async fn serve(&self, connection: &Connection, orders: &mut mpsc::Receiver<Order>) -> End {
        let mut session = match Session::begin(self, connection).await {
            Ok(session) => session,
            Err(error) => return End::Broken(error),
        };
        self.is_well();
        let mut events = pin!(connection.events_listener());
        let mut batch = Vec::new();
        let mut blocked = false;
        let end = loop {
            let open = !blocked && session.has_room();
            tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(why)) => {
                        blocked = true;
                        self.away.store(true, Ordering::Release);
                        let blocked = format!("it takes no messages: {why}");
                        self.trouble.begins(Part::Announcing, &blocked);
                    }
                    Some(Event::ConnectionUnblocked) => {
                        blocked = false;
                        self.is_well();
                    }
                    Some(Event::Error(error)) if !connection.status().connected() => {
                        break End::Broken(error.into());
                    }
                    Some(_) => {}
                    None => break End::Broken(gone()),
                },
                Some(sent) = session.next() => match sent {
                    Ok(sent) => session.has_sent(sent),
                    Err(error) => break End::Broken(error),
                },
                number = orders.recv_many(&mut batch, BATCH), if open => {
                    if number == 0 {
                        break match session.finish().await {
                            Ok(()) => End::Dropped,
                            Err(error) => End::Broken(error),
                        };
                    }
                    if let Err(error) = session.send(&mut batch).await {
                        break End::Broken(error);
                    }
                }
            }
            session.answer();
        };
        self.let_go(session.unconfirmed());
        end
    }

    fn is_well(&self) {
        self.away.store(false, Ordering::Release);
        self.trouble.is_over(&Part::Announcing);
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Store, "the connection is gone")
}
