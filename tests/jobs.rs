//! The jobs of the worker processes; they note in the ledger what they do.

use std::{path::Path, time::Duration};

use executor::prelude::*;
use executor_tests::note;

/// Works through pages, each durable before the next.
#[job]
pub(crate) async fn pages(
    ctx: Context,
    pages: u32,
    millis: u64,
    mut page: Saved<u32>,
) -> Result<u32, JobError> {
    note("start", &ctx, *page);
    while *page < pages {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        page.set(*page + 1).await?;
        note("saved", &ctx, *page);
    }
    note("end", &ctx, *page);
    Ok(*page)
}

/// Notes that it ran.
#[job]
pub(crate) async fn once(ctx: Context) -> Result<(), JobError> {
    note("start", &ctx, ctx.attempt());
    Ok(())
}

/// Takes its process with it.
#[job]
pub(crate) async fn abort(ctx: Context) -> Result<(), JobError> {
    note("abort", &ctx, ctx.attempt());
    std::process::abort()
}

/// Takes this long, and no notice of being cancelled.
#[job]
pub(crate) async fn slow(ctx: Context, millis: u64) -> Result<(), JobError> {
    note("start", &ctx, ctx.attempt());
    tokio::time::sleep(Duration::from_millis(millis)).await;
    note("end", &ctx, ctx.attempt());
    Ok(())
}

/// Runs until a file is there.
#[job]
pub(crate) async fn hold_lane(ctx: Context, lane: u32, file: String) -> Result<(), JobError> {
    note("begin", &ctx, lane);
    while !Path::new(&file).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    note("end", &ctx, lane);
    Ok(())
}

/// Runs until a file is there, and leaves its slot for an hour.
#[job]
pub(crate) async fn nap(ctx: Context, lane: u32, file: String) -> Result<(), JobError> {
    note("begin", &ctx, lane);
    while !Path::new(&file).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    note("end", &ctx, lane);
    Err(JobError::snooze(Duration::from_secs(3600)))
}

/// Comes a second time after a snooze, and a third time after an error; two run in a worker.
#[job(concurrency = 2, retry(max = 3, backoff = "10ms"))]
pub(crate) async fn restless(
    ctx: Context,
    lane: u32,
    mut turn: Saved<u32>,
) -> Result<(), JobError> {
    note("begin", &ctx, lane);
    turn.set(*turn + 1).await?;
    note("end", &ctx, lane);
    match *turn {
        1 => Err(JobError::snooze(Duration::from_millis(10))),
        2 => Err(JobError::retry("once more")),
        _ => Ok(()),
    }
}

/// Three of it run in all workers.
#[job(concurrency_global = 3)]
pub(crate) async fn bounded(ctx: Context, lane: u32) -> Result<(), JobError> {
    note("begin", &ctx, lane);
    tokio::task::yield_now().await;
    note("end", &ctx, lane);
    Ok(())
}

/// Ends when the process that runs it is asked to let it go, and only there.
#[job]
pub(crate) async fn stay(ctx: Context) -> Result<(), JobError> {
    note("start", &ctx, ctx.attempt());
    ctx.cancelled().await;
    note("cancelled", &ctx, ctx.attempt());
    std::future::pending().await
}

/// Saves its progress, waits for a file to be there, saves again, and ends in any case: what
/// becomes of a worker that was frozen in between.
#[job]
pub(crate) async fn gate(
    ctx: Context,
    file: String,
    mut page: Saved<u32>,
) -> Result<u32, JobError> {
    note("start", &ctx, *page);
    if *page > 0 {
        // Another worker had it before, which still waits for the file.
        page.set(10).await?;
        return Ok(std::process::id());
    }
    page.set(1).await?;
    note("saved", &ctx, *page);
    while !Path::new(&file).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    match page.set(2).await {
        Ok(()) => note("saved", &ctx, *page),
        Err(_) => note("refused", &ctx, *page),
    }
    Ok(std::process::id())
}

/// Starts children, some of them with saved progress, and fails at first if it is told to.
#[job(retry(max = 3, backoff = "10ms"))]
pub(crate) async fn family(
    ctx: Context,
    before: u32,
    after: u32,
    file: String,
    mut saved: Saved<bool>,
) -> Result<(), JobError> {
    note("start", &ctx, u32::from(*saved));
    if !*saved {
        for _ in 0..before {
            ctx.start(Once)?;
        }
        saved.set(true).await?;
    }
    for _ in 0..after {
        ctx.start(Once)?;
    }
    note("started", &ctx, before + after);
    while !Path::new(&file).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Reads a large program, and holds it for a while.
#[job]
pub(crate) async fn weigh(
    ctx: Context,
    data: executor::ProgramData<String>,
    millis: u64,
) -> Result<usize, JobError> {
    note("start", &ctx, 0);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(data.len())
}

/// Has a program of pages made elsewhere, and waits for it.
#[job]
pub(crate) async fn pages_elsewhere(
    ctx: Context,
    pages: u32,
    millis: u64,
) -> Result<u32, JobError> {
    note("handed", &ctx, 0);
    let page = 0;
    Err(ctx.start_and_wait(
        Pages {
            pages,
            millis,
            page,
        }
        .queue("elsewhere"),
    ))
}

/// Notes how many pages were made elsewhere.
#[job]
pub(crate) async fn bind(ctx: Context, pages: Output<PagesElsewhere>) -> Result<u32, JobError> {
    note("bound", &ctx, *pages);
    Ok(*pages)
}

/// Takes this long, beside two others over all workers.
#[job(concurrency_global = 3)]
pub(crate) async fn narrow(ctx: Context, millis: u64) -> Result<(), JobError> {
    note("start", &ctx, ctx.attempt());
    tokio::time::sleep(Duration::from_millis(millis)).await;
    note("end", &ctx, ctx.attempt());
    Ok(())
}
