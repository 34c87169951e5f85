//! A long time of full load on PostgreSQL: whether it slows down, and what it leaves behind.
//!
//! `cargo bench -p executor-benches --bench endurance -- --minutes 10` starts a worker on empty
//! tables, and creates programs as fast as it works them off. With `--burst 500000` so many are
//! there a moment after the worker's start. A row for each interval: programs a second, finished rows
//! so far, dead rows, sizes, and the worker's peak memory. Finished rows are kept.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]

mod place;

use std::{
    process::{Child, Command},
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use executor::Executor;

use self::place::{Store, clear, connect, program, psql, server};

#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Seconds from one row to the next.
    #[arg(long, default_value_t = 10)]
    every: u64,
    /// Programs that wait to be run, all the time.
    #[arg(long, default_value_t = 20_000)]
    backlog: usize,
    /// So many programs at the beginning, and none after them.
    #[arg(long)]
    burst: Option<usize>,
    #[arg(long, default_value_t = 1000)]
    slots: usize,
    /// Jobs of each program.
    #[arg(long, default_value_t = 2)]
    steps: usize,
    /// Where the server is; by default on this machine, with the tests' login.
    #[arg(long)]
    url: Option<String>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Works until it is ended.
    #[command(hide = true)]
    Work { url: String, slots: usize },
}

const TABLE: &str = "executor_bench";

#[tokio::main]
async fn main() -> executor::Result<()> {
    let options = Options::parse();
    match &options.part {
        Some(Part::Work { url, slots }) => {
            let worker = connect(url, TABLE, *slots).await?;
            worker.work_until(std::future::pending::<()>()).await
        }
        None => watch(&options).await,
    }
}

async fn watch(options: &Options) -> executor::Result<()> {
    let url = match &options.url {
        Some(url) => url.clone(),
        None => server("EXECUTOR_TEST_POSTGRES")?,
    };
    clear(&url, TABLE, Store::Postgres)?;
    let executor = connect(&url, TABLE, 1).await?;
    let worker = Worker::start(&url, options.slots)?;
    println!(
        "| s | programs /s | finished | dead rows | table MiB | indexes MiB | worker MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- |"
    );
    let start = Instant::now();
    let mut rows = Rows::new(&url, &worker, start);
    let every = Duration::from_secs(options.every);
    if let Some(burst) = options.burst {
        create(&executor, burst, options.steps).await?;
        while rows.finished < burst {
            rows.next(every).await?;
        }
        return Ok(());
    }
    let end = start + Duration::from_secs_f64(options.minutes * 60.0);
    let creating = keep_full(&executor, &url, options, end);
    let showing = async {
        while Instant::now() < end {
            rows.next(every).await?;
        }
        Ok(())
    };
    tokio::try_join!(creating, showing).map(drop)
}

/// Creates programs, so that some always wait.
async fn keep_full(
    executor: &Executor,
    url: &str,
    options: &Options,
    end: Instant,
) -> executor::Result<()> {
    const BATCH: usize = 5000;
    while Instant::now() < end {
        let waiting = ask(url, format!("SELECT {}", waiting(1))).await?;
        if waiting.trim().parse().unwrap_or(0) < options.backlog {
            create(executor, BATCH, options.steps).await?;
        } else {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

async fn create(executor: &Executor, programs: usize, steps: usize) -> executor::Result<()> {
    for created in executor
        .create_many((0..programs).map(|_| program(steps)))
        .await?
    {
        created?;
    }
    Ok(())
}

/// How many wait or run: the halves have an index each.
fn waiting(ready: u8) -> String {
    format!(
        "(SELECT count(*) FROM {TABLE}
         WHERE ready = {ready} AND finished_at IS NULL AND errored_at IS NULL)"
    )
}

async fn ask(url: &str, question: String) -> executor::Result<String> {
    let url = url.to_owned();
    let asked = tokio::task::spawn_blocking(move || psql(&url, &question));
    asked.await.map_err(|e| e.to_string())?
}

/// A worker in a process of its own, which ends with this one.
struct Worker(Child);

impl Worker {
    fn start(url: &str, slots: usize) -> executor::Result<Self> {
        let worker = Command::new(std::env::current_exe()?)
            .args(["work", url, &slots.to_string()])
            .spawn()?;
        Ok(Self(worker))
    }

    fn peak_mib(&self) -> f64 {
        place::peak_kib(&self.0.id().to_string()) as f64 / 1024.0
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The table that is printed, row by row.
struct Rows<'a> {
    url: &'a str,
    worker: &'a Worker,
    start: Instant,
    last: Instant,
    finished: usize,
}

impl<'a> Rows<'a> {
    fn new(url: &'a str, worker: &'a Worker, start: Instant) -> Self {
        Self {
            url,
            worker,
            start,
            last: start,
            finished: 0,
        }
    }

    /// Prints the next row, when the interval is over.
    async fn next(&mut self, every: Duration) -> executor::Result<()> {
        tokio::time::sleep_until((self.last + every).into()).await;
        // All ids are given to programs, and counting the finished ones would take long.
        let figures = format!(
            "SELECT (SELECT COALESCE(max(id), 0) FROM {TABLE}) - {} - {}, n_dead_tup,
               pg_table_size(relid) >> 20, pg_indexes_size(relid) >> 20
             FROM pg_stat_user_tables WHERE relname = '{TABLE}'",
            waiting(0),
            waiting(1),
        );
        let figures = ask(self.url, figures).await?;
        let mut figures = figures.trim().split('|').map(str::parse::<usize>);
        let mut figure = || figures.next().and_then(Result::ok).unwrap_or(0);
        let (finished, dead, table, indexes) = (figure(), figure(), figure(), figure());
        let now = Instant::now();
        let rate = (finished - self.finished) as f64 / (now - self.last).as_secs_f64();
        println!(
            "| {:.0} | {rate:.0} | {finished} | {dead} | {table} | {indexes} | {:.0} |",
            (now - self.start).as_secs_f64(),
            self.worker.peak_mib(),
        );
        (self.finished, self.last) = (finished, now);
        Ok(())
    }
}
