//! Hears messages for a worker, on a connection of its own: a channel a queue.
//!
//! It never ends by itself. A connection that breaks is made anew after a pause, and so is a channel that
//! RabbitMQ closes, or whose queue was deleted: one queue's trouble is no other's. What was delivered and
//! not acknowledged comes again then.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{BoxFuture, join_all},
};
use lapin::{Connection, Event};
use tokio::time::Instant;

use super::{
    trouble::{Part, Trouble},
    wire::{Wire, pause},
};
use crate::error::{Error, ErrorKind, Result};

/// After so long, a connection was a good one.
const LONG: Duration = Duration::from_secs(10);

/// What hears queues, each on a channel.
pub(super) trait Hears: Send + Sync + 'static {
    /// The queues' names in RabbitMQ.
    fn names(&self) -> Vec<String>;

    /// The channel of this one is new, or gone.
    fn begin(&self, lane: usize);

    /// Hears this one on a channel, until that breaks.
    fn hear<'a>(
        &'a self,
        connection: &'a Connection,
        lane: usize,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Infallible>>;
}

pub(super) struct Consumer<H> {
    pub(super) wire: Arc<Wire>,
    pub(super) trouble: Arc<Trouble>,
    /// What RabbitMQ shows of the connection.
    pub(super) name: String,
    pub(super) ears: Arc<H>,
}

impl<H: Hears> Consumer<H> {
    pub(super) async fn run(self) {
        let names = self.ears.names();
        let mut failed = 0;
        loop {
            let since = Instant::now();
            let error = match self.wire.connect(&self.name).await {
                Ok(connection) => {
                    self.trouble.is_over(&Part::Hearing);
                    self.serve(&connection, &names).await
                }
                Err(error) => error,
            };
            (0..names.len()).for_each(|lane| self.ears.begin(lane));
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
    async fn serve(&self, connection: &Connection, names: &[String]) -> Error {
        let lanes = names.iter().enumerate();
        let lanes = lanes.map(|(lane, name)| Box::pin(self.lane(connection, lane, name)));
        let lanes = join_all(lanes.collect::<Vec<_>>());
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

    /// Hears a queue as long as the connection is there.
    async fn lane(&self, connection: &Connection, lane: usize, name: &str) {
        let mut failed = 0;
        loop {
            let since = Instant::now();
            let Err(error) = self.ears.hear(connection, lane, name).await;
            self.ears.begin(lane);
            if !connection.status().connected() {
                return;
            }
            self.trouble.begins(Part::Queue(name.to_owned()), &error);
            failed = if since.elapsed() > LONG {
                1
            } else {
                failed + 1
            };
            tokio::time::sleep(pause(failed)).await;
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Store, "the connection is gone")
}

/// RabbitMQ has ended a consumer, and nobody had asked it to.
pub(super) fn deleted() -> Error {
    let message = "RabbitMQ has ended the consumer: the queue was deleted";
    Error::new(ErrorKind::Store, message)
}
