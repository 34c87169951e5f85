//! Heartbeats, on a thread, runtime and connection of their own: neither a job that hogs the
//! processors nor a slow commit ends a lease.
//!
//! Each beat extends the leases of all running programs. A program that was stopped from outside,
//! or that another claim has taken, is interrupted here. When the store is away, the beats go on
//! trying; the leases then end by each lease's own clock, and nothing new starts under them.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    decide::Cause,
    outage::{Outage, Trade},
    places::Taken,
    running::Running,
};
use crate::{
    config::Config,
    error::{Error, ErrorKind, Result},
    store::{self, Pulse, Store, WorkerId},
};

pub(super) struct Heart {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Heart {
    pub(super) fn start(
        config: Config,
        worker: WorkerId,
        running: Arc<Running>,
        taken: Taken,
        outage: Arc<Outage>,
        nudge: watch::Receiver<()>,
    ) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("executor-heart".to_owned())
            .spawn(move || {
                runtime.block_on(beat(
                    &config, worker, &running, &taken, &outage, nudge, stopped,
                ));
            })
            .map_err(|e| Error::with_source(ErrorKind::Other, "no thread for heartbeats", e))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Ends the beats, and waits for the last one.
    pub(super) async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Joining blocks, for one statement at most.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

async fn beat(
    config: &Config,
    worker: WorkerId,
    running: &Running,
    taken: &Taken,
    outage: &Outage,
    mut nudge: watch::Receiver<()>,
    mut stopped: oneshot::Receiver<()>,
) {
    let lease = config.worker.lease;
    let mut store = None;
    loop {
        let beaten = beat_once(config, &mut store, worker, running, taken).await;
        let again_soon = matches!(beaten, Ok(Beat { locked: true }));
        let beaten = beaten.map(drop);
        match &beaten {
            Err(error) => outage.begins(Trade::Heartbeats, error),
            Ok(()) => outage.is_over(Trade::Heartbeats),
        }
        let pause = if beaten.is_err() || again_soon {
            (lease / 10).min(Duration::from_secs(1))
        } else {
            lease / 3
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = nudge.changed() => {}
            _ = &mut stopped => return,
        }
    }
}

/// A beat that reached the store.
struct Beat {
    /// Whether some leases could not be extended, since somebody holds their rows.
    locked: bool,
}

async fn beat_once(
    config: &Config,
    connected: &mut Option<Arc<dyn Store>>,
    worker: WorkerId,
    running: &Running,
    taken: &Taken,
) -> Result<Beat> {
    let lease = config.worker.lease;
    let store = match connected {
        Some(store) => store,
        None => connected.insert(store::connect(config).await?),
    };
    let leases = running.leases();
    let sent = Instant::now();
    let held = leases.iter().map(|lease| lease.held).collect();
    let before = taken.to_vec();
    if !before.is_empty() {
        // First: a place must not end before its lease. A body whose place has ended, as that of a process
        // which was frozen for long, may be one too many now.
        let time = lease + config.worker.cancel_grace;
        let kept = store.extend_holds(worker, time).await?;
        // One that was given back meanwhile was not lost.
        let lost = taken
            .to_vec()
            .into_iter()
            .filter(|held| before.contains(held) && !kept.contains(held));
        for lost in lost {
            let lease = leases.iter().find(|lease| lease.held == lost);
            if let Some(lease) = lease {
                lease.interrupt(Cause::LeaseUncertain);
            }
        }
    }
    let pulses = store.heartbeat(worker, lease, held).await?;
    let mut locked = false;
    for (held, pulse) in leases.iter().zip(pulses) {
        match pulse {
            Pulse::Locked => locked = true,
            Pulse::Alive => held.extend(sent + lease),
            Pulse::Stopped => held.interrupt(Cause::Stopped),
            // The program may just have ended by itself: then there is nobody to interrupt.
            Pulse::Lost => held.interrupt(Cause::LeaseLost),
        }
    }
    Ok(Beat { locked })
}
