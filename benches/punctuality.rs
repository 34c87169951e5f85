//! How late programs start: the time between when one is due and the first line of its job. They are scheduled,
//! or with `--created` created at that time, one after another; the creation is part of the time then.
//!
//! `cargo bench -p executor-benches --bench punctuality -- --store postgres`
#![allow(clippy::print_stdout, reason = "a line is what it is for")]

#[allow(dead_code, reason = "not every benchmark uses all of it")]
mod place;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use clap::Parser;
use executor::prelude::*;

use self::place::{Store, clear, server};

#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 500)]
    programs: u32,
    /// Over so many seconds they become due, at times that are spread evenly.
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// The database.
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    store: Store,
    /// Due when they are created.
    #[arg(long)]
    created: bool,
    /// RabbitMQ, which hands out the programs then.
    #[arg(long)]
    broker: Option<String>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How late each was.
#[derive(Default)]
struct Starts {
    late: Mutex<Vec<Duration>>,
    number: AtomicUsize,
}

#[job]
async fn start(starts: State<Arc<Starts>>, due: SystemTime) -> Result<(), JobError> {
    let late = SystemTime::now().duration_since(due).unwrap_or_default();
    starts.late.lock().map_err(|e| e.to_string())?.push(late);
    starts.number.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().unwrap_or(Path::new(".")))?;
    let url = match options.store {
        Store::Sqlite => format!("sqlite:{}", folder.path().join("bench.db").display()),
        Store::Postgres => server("EXECUTOR_TEST_POSTGRES")?,
        Store::Mysql => server("EXECUTOR_TEST_MYSQL")?,
    };
    let table = "executor_bench";
    clear(&url, table, options.store)?;
    let starts = Arc::new(Starts::default());
    let mut builder = executor::builder()
        .database_url(&url)
        .table(table)
        .state(Arc::clone(&starts));
    if let Some(broker) = options.broker {
        builder = builder.amqp_url(broker);
    }
    let executor = builder.connect().await?;
    let apart = Duration::from_secs(options.seconds.into()) / options.programs;
    let first = SystemTime::now() + Duration::from_secs(2);
    if !options.created {
        let programs = (0..options.programs).map(|number| {
            let due = first + apart * number;
            Start { due }.run_at(due)
        });
        for created in executor.create_many(programs).await? {
            created?;
        }
    }
    let all = options.programs as usize;
    let mut created = Ok(());
    executor
        .work_until(async {
            if options.created {
                created = create(&executor, options.programs, apart).await;
            }
            while created.is_ok() && starts.number.load(Ordering::SeqCst) < all {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await?;
    created?;
    let mut late = starts.late.lock().map_err(|e| e.to_string())?.clone();
    late.sort();
    let at = |part: f64| late[((late.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!(
        "{:?}: {} programs, late by p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms",
        options.store,
        late.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

/// Creates one after another, when the worker has nothing else to do.
async fn create(executor: &Executor, programs: u32, apart: Duration) -> executor::Result<()> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..programs {
        let due = SystemTime::now();
        Start { due }.create(executor).await?;
        tokio::time::sleep(apart).await;
    }
    Ok(())
}
