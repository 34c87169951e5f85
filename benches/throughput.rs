//! Programs a second, every step durable by the database's default settings (SQLite:
//! `synchronous = FULL`).
//!
//! `cargo bench -p executor-benches` prints a table for the embedded store, and with `--store
//! postgres` or `--store mysql` one for a server. Each round makes a fresh table, creates a backlog of
//! programs of no-op jobs in it, and drains it with a worker in a process of its own; the drain ends
//! when the database shows all programs done. Medians over the rounds.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]

mod place;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use executor::{Executor, Filter, ProgramState, RunId, prelude::*};

use self::place::{Store, at, clear, connect, mysql, peak_kib, program, psql, server};

#[derive(Parser)]
struct Options {
    /// Programs in the backlog.
    #[arg(long, default_value_t = 50_000)]
    programs: usize,
    /// Slots of the worker; a row for each.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 1000])]
    slots: Vec<usize>,
    /// Jobs of each program.
    #[arg(long, default_value_t = 2)]
    steps: usize,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Finished programs that are in the table before (on a server).
    #[arg(long, default_value_t = 0)]
    history: usize,
    /// Programs that are in the table before, and scheduled over the next year.
    #[arg(long, default_value_t = 0)]
    scheduled: usize,
    /// The database.
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    store: Store,
    /// Where the server is; by default on this machine, with the tests' login.
    #[arg(long)]
    url: Option<String>,
    /// RabbitMQ, which hands out the programs then.
    #[arg(long)]
    broker: Option<String>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Drains a backlog, and prints seconds and peak memory in KiB.
    #[command(hide = true)]
    Drain {
        url: String,
        table: String,
        slots: usize,
        /// The program that was created last.
        last: RunId,
        broker: Option<String>,
    },
}

fn main() -> executor::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match options.part {
        Some(Part::Drain {
            url,
            table,
            slots,
            last,
            broker,
        }) => {
            let executor = at(&url, &table, slots, broker.as_deref());
            runtime.block_on(async { drain(executor.await?, &url, &table, &last).await })
        }
        None => compare(&options, &runtime),
    }
}

fn compare(options: &Options, runtime: &tokio::runtime::Runtime) -> executor::Result<()> {
    println!(
        "{} programs of {} no-op jobs, {:?}\n",
        options.programs, options.steps, options.store
    );
    println!(
        "| slots | created /s | one by one /s | by 50 at once /s | programs /s | steps /s | peak memory MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for slots in &options.slots {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            rounds.push(round(options, *slots, runtime)?);
        }
        let median = |pick: fn(&Round) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "| {slots} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
            median(|r| r.created),
            median(|r| r.singly),
            median(|r| r.at_once),
            median(|r| r.drained),
            median(|r| r.drained) * options.steps as f64,
            median(|r| r.memory),
        );
    }
    Ok(())
}

struct Round {
    created: f64,
    singly: f64,
    at_once: f64,
    drained: f64,
    memory: f64,
}

fn round(
    options: &Options,
    slots: usize,
    runtime: &tokio::runtime::Runtime,
) -> executor::Result<Round> {
    // Beside the build, on a real disk: a temporary folder may be memory.
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().unwrap_or(Path::new(".")))?;
    let url = match options.store {
        Store::Sqlite => format!("sqlite:{}", folder.path().join("bench.db").display()),
        Store::Postgres | Store::Mysql => url_of(options)?,
    };
    let table = "executor_bench";
    let (created, singly, at_once, last) = runtime.block_on(fill(&url, table, options))?;
    let output = Command::new(std::env::current_exe()?)
        .args(["drain", &url, table, &slots.to_string(), last.as_str()])
        .args(&options.broker)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut figures = text.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(seconds)), Some(Ok(kib))) = (figures.next(), figures.next()) else {
        return Err(format!(
            "the drain failed: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    };
    Ok(Round {
        created,
        singly,
        at_once,
        drained: options.programs as f64 / seconds,
        memory: kib / 1024.0,
    })
}

/// Where the server is.
fn url_of(options: &Options) -> executor::Result<String> {
    match (&options.url, options.store) {
        (Some(url), _) => Ok(url.clone()),
        (None, Store::Postgres) => server("EXECUTOR_TEST_POSTGRES"),
        (None, Store::Mysql) => server("EXECUTOR_TEST_MYSQL"),
        (None, Store::Sqlite) => Err("the embedded store has no server".into()),
    }
}

/// Creates the backlog; programs a second in bulk, one by one, and by 50 tasks at once.
async fn fill(
    url: &str,
    table: &str,
    options: &Options,
) -> executor::Result<(f64, f64, f64, RunId)> {
    const SINGLY: usize = 1000;
    const AT_ONCE: usize = 50;
    clear(url, table, options.store)?;
    let executor = at(url, table, 1, options.broker.as_deref()).await?;
    if options.history > 0 {
        remember(url, table, options)?;
    }
    plan(&executor, options).await?;
    let program = || program(options.steps);
    let start = Instant::now();
    for _ in 0..SINGLY {
        program().create(&executor).await?;
    }
    let singly = SINGLY as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (executor, steps) = (executor.clone(), options.steps);
        tasks.spawn(async move {
            for _ in 0..SINGLY / AT_ONCE * 5 {
                place::program(steps).create(&executor).await?;
            }
            Ok::<_, executor::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let at_once = 5.0 * SINGLY as f64 / start.elapsed().as_secs_f64();
    let bulk = options.programs - 6 * SINGLY;
    let start = Instant::now();
    let mut last = None;
    for result in executor.create_many((0..bulk).map(|_| program())).await? {
        last = Some(result?.run_id);
    }
    let created = bulk as f64 / start.elapsed().as_secs_f64();
    // All is announced, and confirmed, before it is drained.
    executor.shutdown().await;
    Ok((created, singly, at_once, last.ok_or("no program")?))
}

/// Programs that are due at some time of the next year.
async fn plan(executor: &Executor, options: &Options) -> executor::Result<()> {
    const AT_ONCE: usize = 50_000;
    let apart = Duration::from_secs(365 * 24 * 3600) / u32::try_from(options.scheduled.max(1))?;
    // Not before the drain is over.
    let first = Duration::from_secs(3600);
    for batch in (0..options.scheduled).step_by(AT_ONCE) {
        let numbers = batch..(batch + AT_ONCE).min(options.scheduled);
        let programs = numbers.map(|number| {
            let after = first + apart * u32::try_from(number).unwrap_or(u32::MAX);
            program(options.steps).run_after(after)
        });
        for created in executor.create_many(programs).await? {
            created?;
        }
    }
    match (options.scheduled, options.store) {
        (0, _) | (_, Store::Sqlite) => Ok(()),
        (_, Store::Postgres) => psql(&url_of(options)?, "VACUUM ANALYZE executor_bench").map(drop),
        (_, Store::Mysql) => mysql(&url_of(options)?, "ANALYZE TABLE executor_bench"),
    }
}

/// Programs that have finished long ago.
fn remember(url: &str, table: &str, options: &Options) -> executor::Result<()> {
    match options.store {
        Store::Sqlite => Err("the embedded store gets no history".into()),
        Store::Postgres => remember_in_postgres(url, table, options.history),
        Store::Mysql => remember_in_mysql(url, table, options.history),
    }
}

fn remember_in_postgres(url: &str, table: &str, programs: usize) -> executor::Result<()> {
    let fill = format!(
        "INSERT INTO {table} (run_id, jobs, step, token, rev, available_at, finished_at)
         SELECT gen_random_uuid(), '[\"first\", \"second\"]', 2, 1, 3, 0, now() - interval '1 day'
         FROM generate_series(1, {programs});
         VACUUM ANALYZE {table};"
    );
    for statement in fill
        .split_inclusive(';')
        .filter(|text| !text.trim().is_empty())
    {
        psql(url, statement)?;
    }
    Ok(())
}

fn remember_in_mysql(url: &str, table: &str, programs: usize) -> executor::Result<()> {
    let columns = "(run_id, jobs, step, token, rev, available_at, finished_at)";
    let ended = r#"UUID(), '["first", "second"]', 2, 1, 3, 0, NOW(3) - INTERVAL 1 DAY"#;
    mysql(
        url,
        &format!("INSERT INTO {table} {columns} SELECT {ended}"),
    )?;
    let mut there = 1;
    while there < programs {
        let more = there.min(programs - there).min(100_000);
        let fill =
            format!("INSERT INTO {table} {columns} SELECT {ended} FROM {table} LIMIT {more}");
        mysql(url, &fill)?;
        there += more;
    }
    mysql(url, &format!("ANALYZE TABLE {table}"))
}

async fn drain(executor: Executor, url: &str, table: &str, last: &RunId) -> executor::Result<()> {
    // One that looks on, by connections of its own.
    let look = connect(url, table, 1).await?;
    let start = Instant::now();
    let mut elapsed = Duration::ZERO;
    executor
        .work_until(async {
            // Nearly the last to be done; a cheaper question than whether all are.
            loop {
                // The question takes its time where many are scheduled.
                elapsed = start.elapsed();
                if has_ended(&look, last).await && !unfinished(&look).await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await?;
    println!("{} {}", elapsed.as_secs_f64(), peak_kib("self"));
    Ok(())
}

async fn has_ended(executor: &Executor, run_id: &RunId) -> bool {
    let found = executor.get(run_id).await;
    found.is_ok_and(|program| program.is_some_and(|program| program.state.is_terminal()))
}

async fn unfinished(executor: &Executor) -> bool {
    let states = [
        ProgramState::Available,
        ProgramState::Running,
        ProgramState::Waiting,
    ];
    let filter = states.into_iter().fold(Filter::new(), Filter::state);
    executor
        .list(filter.limit(1))
        .await
        .map_or(true, |found| !found.is_empty())
}
