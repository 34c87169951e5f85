//! Programs that wait for others: they go on when those have ended.
//!
//! It promises that a wait which is over is found, whatever has ended it and wherever: by a look at all
//! waits, page by page, a second apart. It is quick where a program has ended in this worker, or by a
//! verb: then its parent goes on at once. When the store is away, or a worker is killed in between, the
//! next look finds what was missed; several workers don't get into each other's way. What it costs depends
//! on how many wait: nothing is kept of programs that wait for nobody, and nothing looked up.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::{
    Shared,
    decide::Tell,
    outage::Trade,
    tell::{Whose, tell},
};
use crate::{
    event::Event,
    retry::back_off,
    run_id::RunId,
    store::{Resumed, Waits},
};

/// Between two pages of which the first had nothing to do.
const PAUSE: Duration = Duration::from_secs(1);

/// Programs that are looked up together at most.
const MOST: usize = 100;

/// Where it is told which awaited programs have ended here.
pub(super) struct Ended(mpsc::Sender<RunId>);

impl Ended {
    pub(super) fn new() -> (Self, mpsc::Receiver<RunId>) {
        let (ended, endings) = mpsc::channel(1000);
        (Self(ended), endings)
    }

    /// This program's claim has ended, and perhaps the program.
    pub(super) fn tell(&self, run_id: &RunId) {
        if run_id.is_awaited() {
            // What has no room is found by a look at all.
            let _ = self.0.try_send(run_id.clone());
        }
    }
}

/// Looks until it is aborted, which leaves nothing half done.
pub(super) async fn settle(shared: Arc<Shared>, mut ended: mpsc::Receiver<RunId>) {
    let mut children = Vec::new();
    let (mut page, mut look_at) = (i64::MIN, Instant::now());
    let mut failed = 0;
    loop {
        let waits = tokio::select! {
            _ = ended.recv_many(&mut children, MOST) => Waits::For(std::mem::take(&mut children)),
            () = tokio::time::sleep_until(look_at) => Waits::From(page),
        };
        let is_page = matches!(waits, Waits::From(_));
        let settled = match shared.store.settle(waits).await {
            Ok(settled) => settled,
            Err(error) => {
                shared.outage.begins(Trade::Waits, &error);
                failed += 1;
                tokio::time::sleep(back_off(failed)).await;
                continue;
            }
        };
        shared.outage.is_over(Trade::Waits);
        failed = 0;
        if is_page {
            page = settled.next.unwrap_or(i64::MIN);
            if settled.next.is_none() || settled.resumed.is_empty() {
                // Not all workers at the same moment.
                look_at = Instant::now() + PAUSE.mul_f64(0.75 + fastrand::f64() / 2.0);
            }
        }
        for resumed in settled.resumed {
            say(&shared, resumed);
        }
    }
}

fn say(shared: &Shared, resumed: Resumed) {
    let Resumed {
        run_id,
        step,
        job,
        attempt,
        failure,
        last,
    } = resumed;
    let whose = Whose {
        run_id: &run_id,
        step,
        job: &job,
        attempt,
        memory: None,
    };
    match failure {
        Some(message) => tell(shared, &whose, &Tell::Error(message)),
        None => {
            tell(shared, &whose, &Tell::Done);
            if last {
                shared.events.raise(|| Event::Finished {
                    run_id: run_id.clone(),
                });
            }
        }
    }
}
