//! The broker: what tells workers that programs are runnable.
//!
//! The store is the truth, a broker only rings the bell. What it says is a permit to claim, and no
//! address: the claim takes the best that is due. So a word that is lost, doubled, late or somebody
//! else's changes nothing, and behind each ear the store is looked at by itself.
//!
//! Two can do it: the store itself ([`database`]), and RabbitMQ.

mod database;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(all(test, feature = "sqlite"))]
mod suite;

use std::{pin::Pin, sync::Arc, time::Duration};

use crate::{
    config::{Config, DEFAULT_QUEUE, Share},
    error::Result,
    program::Start,
    run_id::RunId,
    store::{Created, NewProgram, Store, WorkerRecord},
};

/// The broker that the configuration names.
///
/// # Errors
/// Its URL is wrong, or its feature is not compiled in.
pub(crate) fn connect(config: &Config, store: &Arc<dyn Store>) -> Result<Arc<dyn Broker>> {
    match &config.amqp_url {
        None => Ok(Arc::new(database::Database)),
        Some(url) => over_amqp(config, url, store),
    }
}

#[cfg(feature = "rabbitmq")]
use self::rabbitmq::open as over_amqp;

#[cfg(not(feature = "rabbitmq"))]
fn over_amqp(
    _: &Config,
    url: &crate::config::AmqpUrl,
    _: &Arc<dyn Store>,
) -> Result<Arc<dyn Broker>> {
    use crate::error::{Error, ErrorKind};
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "this build has no RabbitMQ for {url}; add the feature \"rabbitmq\" to the dependency on \
             executor, or unset AMQP_URL"
        ),
    ))
}

/// Stores programs, and has the workers told of them. It returns when they are durable, and waits for no
/// broker.
pub(crate) async fn create(
    store: &dyn Store,
    broker: &dyn Broker,
    mut programs: Vec<NewProgram>,
) -> Result<Vec<Result<Created>>> {
    if !broker.takes() {
        return store.create(programs).await;
    }
    let shared = broker.is_shared();
    let news = programs.iter().map(|new| announcement(new, shared));
    let news: Vec<Option<Announcement>> = news.collect();
    if shared {
        for (new, _) in programs
            .iter_mut()
            .zip(&news)
            .filter(|(_, it)| it.is_some())
        {
            new.program.options.start = Start::After(UNANNOUNCED);
        }
    }
    let created = store.create_quietly(programs).await?;
    for (news, created) in news.into_iter().zip(&created) {
        if let (Some(news), Ok(created)) = (news, created)
            && (!created.existed || created.replaced)
        {
            broker.announce(Announcement {
                run_id: created.run_id.clone(),
                ..news
            });
        }
    }
    Ok(created)
}

/// What is to be said of a program that is due at once.
fn announcement(new: &NewProgram, shared: bool) -> Option<Announcement> {
    let options = &new.program.options;
    matches!(options.start, Start::Now).then(|| Announcement {
        queue: options
            .queue
            .clone()
            .unwrap_or_else(|| DEFAULT_QUEUE.into()),
        run_id: new.run_id.clone(),
        left: shared.then(|| Left {
            jobs: new.program.jobs.iter().map(|job| (&**job).into()).collect(),
            program_data: new.program.program_data.as_str().into(),
        }),
    })
}

/// That a program is runnable, and durable.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    pub(crate) queue: Box<str>,
    pub(crate) run_id: RunId,
    /// What is left of it, for a broker whose messages are the programs.
    pub(crate) left: Option<Left>,
}

/// What is left of a program.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) jobs: Vec<Box<str>>,
    /// JSON.
    pub(crate) program_data: Box<str>,
}

pub(crate) type BrokerFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
/// Whether the broker has the message.
pub(crate) type HandingOver<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
pub(crate) type Prepared<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

#[cfg(feature = "rabbitmq")]
pub(crate) type Looking<'a> = Pin<Box<dyn Future<Output = Result<Vec<QueueLook>>> + Send + 'a>>;

/// What there is in a queue of a broker's.
#[cfg(feature = "rabbitmq")]
#[derive(Clone, Debug)]
pub(crate) struct QueueLook {
    /// As the broker names it.
    pub(crate) name: String,
    /// `None`: it is not there.
    pub(crate) holds: Option<QueueHolds>,
}

#[cfg(feature = "rabbitmq")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueHolds {
    /// Those that no consumer has.
    pub(crate) messages: u32,
    pub(crate) consumers: u32,
}

/// After so long a new program is the store's, when nobody has said that the broker has its message.
pub(crate) const UNANNOUNCED: Duration = Duration::from_secs(30);

/// What tells workers that programs are runnable.
pub(crate) trait Broker: Send + Sync + 'static {
    /// Whether it takes announcements now; else the store tells by itself.
    fn takes(&self) -> bool;

    /// Whether other systems' workers hear it as well: then a message is the program, and not only a word
    /// about it.
    fn is_shared(&self) -> bool {
        false
    }

    /// Gives a program to whoever hears the broker; whether it has the message.
    fn hand_over(&self, announcement: Announcement) -> HandingOver<'_> {
        let _ = announcement;
        Box::pin(std::future::ready(false))
    }

    /// Tells the workers of that queue. Never waits; what can't be told is found in the store.
    fn announce(&self, announcement: Announcement);

    /// Waits until all is told that was announced, and not for long.
    fn flush(&self) -> BrokerFuture<'_>;

    /// What there is in its queues for these of the store's.
    #[cfg(feature = "rabbitmq")]
    fn look<'a>(&'a self, queues: &'a [String]) -> Looking<'a> {
        let _ = queues;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// The ear of a worker.
    fn ear<'a>(&self, store: &'a dyn Store, worker: &WorkerRecord) -> Box<dyn Ear + 'a>;
}

/// What a worker hears: what its next claim may take, and when that is.
pub(crate) trait Ear: Send {
    /// What the next claim may take, of the slots that each of the worker's shares has free; `None`: there is
    /// nothing to claim for. `due`: something has become due by itself. What is heard from here on counts for
    /// the claim after it.
    fn ask(&mut self, free: &[usize], due: bool) -> Option<Ask>;

    /// What is to be done before the claim.
    fn prepare<'s>(&'s mut self, ask: &'s Ask) -> Prepared<'s> {
        let _ = ask;
        Box::pin(std::future::ready(Ok(())))
    }

    /// What the claim came to that was made for this, share by share, and whether more was due of those that it
    /// has not filled; not called for one that has failed.
    fn answered(&mut self, ask: &Ask, taken: &[usize], more: bool);

    /// No slot is free for as long as this is waited for. Never ends.
    fn full(&mut self) -> BrokerFuture<'_>;

    /// How far away the next look for something due is at most.
    fn slow_poll(&self) -> Duration;

    /// Waits until there may be something to ask for, and not longer than the time.
    fn heard(&mut self, at_most: Duration) -> BrokerFuture<'_>;
}

/// What a claim may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Of which queues, and how many of those that share slots.
    pub(crate) shares: Vec<Share>,
    /// By permits, or whatever there is.
    pub(crate) by: By,
}

impl Ask {
    pub(crate) fn slots(&self) -> usize {
        self.shares.iter().map(|share| share.slots).sum()
    }
}

/// Why a claim is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The broker has handed out a permit for each.
    Permits,
    /// The store is looked at by itself.
    Store,
}
