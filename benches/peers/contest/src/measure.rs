use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    Contestant, Database, Options, Part, Report, Result, Steps,
    body::{bodies_run, listen_for_starts},
};

const CREATORS: usize = 50;
/// How long a created program may take to start before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn measure<C: Contestant>(options: &Options) -> Result<Report> {
    let contestant = Arc::new(C::connect(options).await?);
    let count = options.count;
    match options.part {
        Part::OneByOne => {
            let start = Instant::now();
            for _ in 0..count {
                contestant.create(Steps::One).await?;
            }
            Ok(rate(count, start.elapsed()))
        }
        Part::FiftyAtOnce => fifty_at_once(contestant, count).await,
        Part::Bulk => {
            let start = Instant::now();
            contestant.create_many(count, Steps::One).await?;
            Ok(rate(count, start.elapsed()))
        }
        Part::Drain1 => drain(&*contestant, options, Steps::One).await,
        Part::Drain2 => drain(&*contestant, options, Steps::Two).await,
        Part::Latency => latency(contestant, options).await,
    }
}

fn rate(count: usize, elapsed: Duration) -> Report {
    Report {
        per_second: Some(count as f64 / elapsed.as_secs_f64()),
        ..Report::default()
    }
}

async fn fifty_at_once<C: Contestant>(contestant: Arc<C>, count: usize) -> Result<Report> {
    // Opens the connections; those who work all day have them open.
    each_creates(&contestant, 2).await?;
    let share = count.div_ceil(CREATORS);
    let start = Instant::now();
    each_creates(&contestant, share).await?;
    Ok(rate(share * CREATORS, start.elapsed()))
}

async fn each_creates<C: Contestant>(contestant: &Arc<C>, share: usize) -> Result<()> {
    let creators: Vec<_> = (0..CREATORS)
        .map(|_| {
            let contestant = Arc::clone(contestant);
            tokio::spawn(async move {
                for _ in 0..share {
                    contestant.create(Steps::One).await?;
                }
                Result::Ok(())
            })
        })
        .collect();
    for creator in creators {
        creator.await??;
    }
    Ok(())
}

/// From the worker's start until the database shows all done.
async fn drain<C: Contestant>(contestant: &C, options: &Options, steps: Steps) -> Result<Report> {
    let database = Database::connect(&options.database_url).await?;
    contestant.create_many(options.count, steps).await?;
    let bodies = options.count * steps.count();
    let (done, elapsed) = oneshot::channel();
    let start = Instant::now();
    contestant
        .work(steps, async move {
            // Asked only once it can be true: the question costs the server something, too.
            while bodies_run() < bodies {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let finished = until_finished::<C>(&database).await;
            let _ = done.send(finished.map(|()| start.elapsed()));
        })
        .await?;
    let run_again = bodies_run() - bodies;
    Ok(Report {
        run_again: (run_again > 0).then_some(run_again),
        ..rate(options.count, elapsed.await??)
    })
}

async fn until_finished<C: Contestant>(database: &Database) -> Result<()> {
    while database.ask(C::UNFINISHED).await? {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// One program at a time on an idle worker.
async fn latency<C: Contestant>(contestant: Arc<C>, options: &Options) -> Result<Report> {
    let database = Database::connect(&options.database_url).await?;
    let (done, waits) = oneshot::channel();
    let creator = Arc::clone(&contestant);
    let count = options.count;
    contestant
        .work(Steps::One, async move {
            let _ = done.send(waits_for_start(&*creator, &database, count).await);
        })
        .await?;
    let mut waits = waits.await??;
    waits.sort_by(f64::total_cmp);
    let at = |hundredths: usize| {
        let place = (waits.len() * hundredths).div_ceil(100);
        waits.get(place.saturating_sub(1)).copied()
    };
    Ok(Report {
        p50_ms: at(50),
        p99_ms: at(99),
        ..Report::default()
    })
}

async fn waits_for_start<C: Contestant>(
    creator: &C,
    database: &Database,
    count: usize,
) -> Result<Vec<f64>> {
    let mut starts = listen_for_starts();
    // Workers listen and poll first; none says when it is ready.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut waits = Vec::with_capacity(count);
    for number in 0..count {
        let created = Instant::now();
        creator.create(Steps::One).await?;
        let started = tokio::time::timeout(PATIENCE, starts.recv())
            .await
            .map_err(|_| "a program was never started")?
            .ok_or("nothing can start any more")?;
        waits.push(started.saturating_duration_since(created).as_secs_f64() * 1000.0);
        until_finished::<C>(database).await?;
        // Pauses of 5 to 54 ms, so that no worker's poll keeps step with the creations.
        tokio::time::sleep(Duration::from_millis(5 + (number as u64 * 37) % 50)).await;
    }
    Ok(waits)
}
