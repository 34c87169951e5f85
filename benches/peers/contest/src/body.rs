use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::mpsc;

static RUN: AtomicUsize = AtomicUsize::new(0);
static STARTS: OnceLock<mpsc::UnboundedSender<Instant>> = OnceLock::new();

/// The whole body of every job: counts itself. Steps count from 1.
pub fn body(step: usize) {
    RUN.fetch_add(1, Ordering::Relaxed);
    if step == 1
        && let Some(starts) = STARTS.get()
    {
        // Nobody listens any more once the measuring is over.
        let _ = starts.send(Instant::now());
    }
}

/// How many bodies ran in this process so far.
pub(crate) fn bodies_run() -> usize {
    RUN.load(Ordering::Relaxed)
}

/// Gets the instant of each program's start from now on. For one caller in a process.
pub(crate) fn listen_for_starts() -> mpsc::UnboundedReceiver<Instant> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let _ = STARTS.set(sender);
    receiver
}
