//! A worker: claims programs, runs their jobs, commits their steps.
//!
//! The dispatcher takes capacity before work and claims no more than is free. Around it stand
//! the trades: the [`Committer`](committer::Committer) (group commit), the [`Heart`] (leases) and the
//! [`Scheduler`] (programs that start by themselves).
//! When the store is away, claims are tried again with growing pauses and running jobs go on.
//! On shutdown it stops claiming, lets jobs end within the grace time, cancels the rest, and gives
//! their leases back.

mod body;
mod claim;
mod committer;
mod decide;
mod dispatch;
mod embed;
mod heart;
mod interop;
mod outage;
mod places;
mod program;
mod pruner;
mod record;
mod rescuer;
mod running;
mod scheduler;
mod slots;
mod tell;
mod tx;
mod waits;

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{
    committer::{Committer, Pending},
    decide::Cause,
    heart::Heart,
    outage::{Outage, Trade},
    places::{Places, Taken},
    pruner::Pruner,
    rescuer::Rescuer,
    running::Running,
    scheduler::{Scheduled, Scheduler},
    slots::Slots,
};
use crate::{
    broker::Broker,
    config::{UnknownJob, WorkerConfig, host_name},
    error::{Error, ErrorKind, Result},
    event::Events,
    handle::Inner,
    job::{Registry, States},
    retry::back_off,
    store::{KnownJobs, LimitedJob, Store, WorkerId, WorkerRecord},
};

/// What a worker's tasks share.
struct Shared {
    id: WorkerId,
    config: WorkerConfig,
    registry: &'static Registry,
    states: Arc<States>,
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    slots: Arc<Slots>,
    outage: Arc<Outage>,
    running: Arc<Running>,
    commits: mpsc::Sender<Pending>,
    events: Arc<Events>,
    known: Arc<KnownJobs>,
    /// The jobs that have a limit over all workers.
    limited: Vec<LimitedJob>,
    places: Places,
    /// Those for whose end others may wait.
    awaited: waits::Ended,
    /// Shutdown has begun: nothing new starts.
    stopping: CancellationToken,
    /// The store does not come back: nothing more is waited for.
    given_up: CancellationToken,
}

/// Works until `shutdown` is ready, and then until all is ended or given back.
async fn run_until(inner: &Inner, shutdown: impl Future<Output = ()>) -> Result<()> {
    let registry = Registry::global()?;
    check(registry, &inner.states, inner.store.name())?;
    inner.config.check()?;
    let config = inner.config.worker.clone();
    let mut shutdown = std::pin::pin!(shutdown);
    let outage = Arc::new(Outage::default());
    let scheduled = Scheduled::collect()?;
    let Some(id) = register(inner, &outage, shutdown.as_mut()).await? else {
        return Ok(());
    };
    match inner.store.durability_warning().await {
        Ok(None) => {}
        Ok(Some(warning)) => tracing::warn!("{warning}"),
        Err(error) => tracing::debug!(%error, "how durable the store is, is not known"),
    }
    let running = Arc::new(Running::default());
    let taken = Taken::default();
    let heart = Heart::start(
        inner.config.clone(),
        id,
        Arc::clone(&running),
        taken.clone(),
        Arc::clone(&outage),
        inner.nudge.subscribe(),
    )?;

    let limits = registry.iter().filter_map(|job| {
        let limit = usize::try_from(job.options.concurrency?).unwrap_or(usize::MAX);
        Some((job.name, limit))
    });
    let shares = config.shares();
    let all_slots = { shares.iter() }.map(|share| share.slots).sum::<usize>();
    let slots = Arc::new(Slots::new(shares, config.memory_budget, limits));
    let given_up = CancellationToken::new();
    let (commits, pending) = mpsc::channel(all_slots.max(16));
    let committer = Committer {
        store: Arc::clone(&inner.store),
        slots: Arc::clone(&slots),
        outage: Arc::clone(&outage),
        given_up: given_up.clone(),
    };
    let committer = tokio::spawn(committer.run(pending));
    let (places, ended) = Places::new(taken);
    let giving_back = tokio::spawn(places::give_back(
        Arc::clone(&inner.store),
        Arc::clone(&outage),
        given_up.clone(),
        ended,
    ));
    let (awaited, ended) = waits::Ended::new();
    let known = KnownJobs {
        names: registry.iter().map(|job| job.name).collect(),
        // Those at an unknown job are handed over.
        others: config.unknown_job != UnknownJob::Wait || inner.broker.is_shared(),
    };
    let shared = Arc::new(Shared {
        id,
        config,
        registry,
        states: Arc::clone(&inner.states),
        store: Arc::clone(&inner.store),
        broker: Arc::clone(&inner.broker),
        slots,
        outage,
        running,
        commits,
        events: Arc::clone(&inner.events),
        known: Arc::new(known),
        limited: claim::limited(registry),
        places,
        awaited,
        stopping: CancellationToken::new(),
        given_up: given_up.clone(),
    });
    let pruner = Pruner {
        store: Arc::clone(&inner.store),
        retention: shared.config.retention.clone(),
        outage: Arc::clone(&shared.outage),
    };
    let pruner = tokio::spawn(pruner.run());
    let rescuer = Rescuer {
        store: Arc::clone(&inner.store),
        lease: shared.config.lease,
        grace: shared.config.cancel_grace,
        outage: Arc::clone(&shared.outage),
    };
    let rescuer = tokio::spawn(rescuer.run());
    tracing::info!(
        worker = %id,
        queues = shared.config.list(),
        slots = all_slots,
        "working"
    );
    for queue in shared.config.slots_of_others() {
        tracing::warn!(
            queue,
            "slots are set for a queue that this worker does not work"
        );
    }
    // Sets: they go with a worker that is dropped.
    let mut settling = JoinSet::new();
    settling.spawn(waits::settle(Arc::clone(&shared), ended));
    let mut scheduler = JoinSet::new();
    if let Some(scheduled) = scheduled {
        scheduler.spawn(Scheduler::new(inner, scheduled, &shared).run());
    }
    let mut programs = JoinSet::new();
    dispatch::until(&shared, &mut programs, shutdown).await;
    // What it has not done, another one does, or a later round.
    pruner.abort();
    rescuer.abort();
    wind_down(&shared, &mut programs, &given_up).await;
    while scheduler.join_next().await.is_some() {}
    settling.shutdown().await;
    drop(shared);
    // With the last sender gone, the committer ends when all is written. A task that a body has left
    // behind with its context keeps one, and is not waited for.
    let _ = tokio::time::timeout(Duration::from_secs(1), committer).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), giving_back).await;
    heart.stop().await;
    if let Err(error) = inner.store.deregister(id).await {
        // It is taken for dead when its lease has passed.
        tracing::warn!(%error, "the worker stays on the list of workers for a while");
    }
    tracing::info!(worker = %id, "stopped");
    Ok(())
}

/// Whether this binary can work at all: jobs are there, and all the state that they need.
fn check(registry: &Registry, states: &States, store: &str) -> Result<()> {
    if registry.is_empty() {
        return Err(Error::new(
            ErrorKind::Configuration,
            "no job is registered: put #[job] on an async function; if the jobs are in a library \
             of which nothing else is used, name it in main (`use my_jobs as _;`), or the linker \
             leaves it out",
        ));
    }
    for job in registry.iter() {
        tracing::debug!(job = job.name, place = %job.place(), "registered");
        if let Some(need) = job.needs.tx.as_ref().filter(|need| need.store != store) {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "the job {:?} ({}) writes in transactions of {}, and the store is {store}; give \
                     DATABASE_URL such a database, or let another binary work this job",
                    job.name,
                    job.place(),
                    need.store,
                ),
            ));
        }
        if let Some(need) = job.needs.states.iter().find(|need| !states.has(need)) {
            return Err(Error::new(
                ErrorKind::MissingState,
                format!(
                    "the job {:?} ({}) needs state of type `{}`; provide it with \
                     `executor::builder().state(…)`",
                    job.name,
                    job.place(),
                    (need.type_name)(),
                ),
            ));
        }
    }
    Ok(())
}

/// Makes the worker known, as soon as the store is there; `None`: it was to stop before that.
async fn register(
    inner: &Inner,
    outage: &Outage,
    mut shutdown: std::pin::Pin<&mut impl Future<Output = ()>>,
) -> Result<Option<WorkerId>> {
    let mut failed = 0;
    loop {
        // A new one each time: the store may know the last one already.
        let id = WorkerId::new();
        let record = record(id, &inner.config.worker);
        match inner.store.register(record).await {
            Ok(()) => {
                outage.is_over(Trade::Registration);
                return Ok(Some(id));
            }
            Err(error) if error.is_away() => {
                outage.begins(Trade::Registration, &error);
                failed += 1;
                tokio::select! {
                    () = &mut shutdown => return Ok(None),
                    () = tokio::time::sleep(back_off(failed)) => {}
                }
            }
            Err(error) => return Err(error),
        }
    }
}

fn record(id: WorkerId, config: &WorkerConfig) -> WorkerRecord {
    WorkerRecord {
        id,
        host: host_name(),
        pid: std::process::id(),
        shares: config.shares(),
        lease: config.lease,
    }
}

/// Ends what runs: first by itself, then cancelled. A blocking body can't be ended: it keeps its slot
/// and its lease, and this worker, till it returns (SEMANTICS §2.3).
async fn wind_down(shared: &Shared, programs: &mut JoinSet<()>, given_up: &CancellationToken) {
    shared.stopping.cancel();
    if programs.is_empty() {
        return;
    }
    tracing::info!(
        running = programs.len(),
        "stopping; waiting for running jobs"
    );
    if ended_within(programs, shared.config.shutdown_grace).await {
        return;
    }
    tracing::warn!(
        running = programs.len(),
        "the grace time is over; cancelling running jobs"
    );
    for lease in shared.running.leases() {
        lease.interrupt(Cause::Shutdown);
    }
    let grace = shared
        .config
        .cancel_grace
        .saturating_add(Duration::from_secs(1));
    if ended_within(programs, grace).await {
        return;
    }
    // Where the store is away, the steps that could not be recorded run again elsewhere.
    given_up.cancel();
    while !ended_within(programs, Duration::from_secs(10)).await {
        tracing::warn!(
            running = programs.len(),
            "waiting for blocking jobs, which can't be ended"
        );
    }
}

async fn ended_within(programs: &mut JoinSet<()>, time: Duration) -> bool {
    tokio::time::timeout(time, async {
        while programs.join_next().await.is_some() {}
    })
    .await
    .is_ok()
}
