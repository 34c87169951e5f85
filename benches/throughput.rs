//! Programs a second on the embedded store, every step durable (`synchronous = FULL`).
//!
//! `cargo bench -p executor-benches` prints a table. Each round makes a fresh database, creates a
//! backlog of programs of no-op jobs in it, and drains it with a worker in a process of its own;
//! the drain ends when the database shows all programs done. Medians over the rounds.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query, sql_types::BigInt,
};
use executor::{Executor, prelude::*};

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
    Drain { file: PathBuf, slots: usize },
}

#[job]
async fn first() -> Result<(), JobError> {
    Ok(())
}

#[job]
async fn second() -> Result<(), JobError> {
    Ok(())
}

fn main() -> executor::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match options.part {
        Some(Part::Drain { file, slots }) => runtime.block_on(drain(&file, slots)),
        None => compare(&options, &runtime),
    }
}

fn compare(options: &Options, runtime: &tokio::runtime::Runtime) -> executor::Result<()> {
    println!(
        "{} programs of {} no-op jobs, SQLite, synchronous = FULL\n",
        options.programs, options.steps
    );
    println!("| slots | created /s | one by one /s | programs /s | steps /s | peak memory MiB |");
    println!("| --- | --- | --- | --- | --- | --- |");
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
            "| {slots} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
            median(|r| r.created),
            median(|r| r.singly),
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
    let file = folder.path().join("bench.db");
    let (created, singly) = runtime.block_on(fill(&file, options))?;
    let output = Command::new(std::env::current_exe()?)
        .args(["drain", &file.to_string_lossy(), &slots.to_string()])
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
        drained: options.programs as f64 / seconds,
        memory: kib / 1024.0,
    })
}

async fn connect(file: &Path, slots: usize) -> executor::Result<Executor> {
    executor::builder()
        .database_url(format!("sqlite:{}", file.display()))
        .slots(slots)
        .connect()
        .await
}

/// Creates the backlog; programs a second in bulk, and one by one.
async fn fill(file: &Path, options: &Options) -> executor::Result<(f64, f64)> {
    const SINGLY: usize = 200;
    let executor = connect(file, 1).await?;
    let program = || {
        let mut program = executor::DynProgram::new(());
        for step in 0..options.steps {
            program = if step % 2 == 0 {
                program.then(First)
            } else {
                program.then(Second)
            };
        }
        program
    };
    let start = Instant::now();
    for _ in 0..SINGLY {
        program().create(&executor).await?;
    }
    let singly = SINGLY as f64 / start.elapsed().as_secs_f64();
    let bulk = options.programs - SINGLY;
    let start = Instant::now();
    for result in executor.create_many((0..bulk).map(|_| program())).await? {
        result?;
    }
    Ok((bulk as f64 / start.elapsed().as_secs_f64(), singly))
}

async fn drain(file: &Path, slots: usize) -> executor::Result<()> {
    let executor = connect(file, slots).await?;
    let mut look = SqliteConnection::establish(&file.to_string_lossy())?;
    let start = Instant::now();
    let mut elapsed = Duration::ZERO;
    executor
        .work_until(async {
            while unfinished(&mut look) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            elapsed = start.elapsed();
        })
        .await?;
    println!("{} {}", elapsed.as_secs_f64(), peak_kib());
    Ok(())
}

fn unfinished(conn: &mut SqliteConnection) -> bool {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        #[allow(dead_code, reason = "that it is there is all")]
        id: i64,
    }
    ["ready = 1", "ready = 0"].iter().any(|ready| {
        let query = format!(
            "SELECT id FROM programs WHERE {ready} AND finished_at IS NULL AND errored_at IS NULL LIMIT 1"
        );
        sql_query(query).load::<Found>(conn).map_or(true, |found| !found.is_empty())
    })
}

/// The largest resident size of this process so far.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
