//! Where a benchmark runs: the database, its tables, and the jobs of its programs.

use std::process::Command;

use clap::ValueEnum;
use executor::{DynProgram, Executor, prelude::*};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    Sqlite,
    Postgres,
    Mysql,
}

#[job]
async fn first() -> Result<(), JobError> {
    Ok(())
}

#[job]
async fn second() -> Result<(), JobError> {
    Ok(())
}

/// A program of so many no-op jobs.
pub(crate) fn program(steps: usize) -> DynProgram {
    (0..steps).fold(DynProgram::new(()), |program, step| match step % 2 {
        0 => program.then(First),
        _ => program.then(Second),
    })
}

/// The server that the tests use.
pub(crate) fn server(variable: &str) -> executor::Result<String> {
    let missing = |_| format!("{variable} is not set: `eval \"$(scripts/services)\"` sets it");
    Ok(std::env::var(variable).map_err(missing)?)
}

pub(crate) async fn connect(url: &str, table: &str, slots: usize) -> executor::Result<Executor> {
    at(url, table, slots, None).await
}

/// The same, with a broker.
pub(crate) async fn at(
    url: &str,
    table: &str,
    slots: usize,
    broker: Option<&str>,
) -> executor::Result<Executor> {
    let builder = executor::builder()
        .database_url(url)
        .table(table)
        .slots(slots);
    match broker {
        None => builder.connect().await,
        Some(broker) => builder.amqp_url(broker).connect().await,
    }
}

/// Drops the tables of the round before.
pub(crate) fn clear(url: &str, table: &str, store: Store) -> executor::Result<()> {
    let tables = [
        "",
        "_workers",
        "_queues",
        "_unique",
        "_schedules",
        "_carriers",
        "_limits",
        "_holds",
        "_parked",
        "_waits",
        "_migrations",
    ];
    let drops: Vec<String> = tables
        .iter()
        .map(|suffix| format!("DROP TABLE IF EXISTS {table}{suffix};"))
        .collect();
    match store {
        Store::Sqlite => {}
        Store::Postgres => drop(psql(url, &drops.concat())?),
        Store::Mysql => mysql(url, &drops.concat())?,
    }
    Ok(())
}

/// Runs a text with MySQL's own client.
pub(crate) fn mysql(url: &str, text: &str) -> executor::Result<()> {
    let (_, rest) = url.split_once("://").ok_or("no URL")?;
    let rest = rest.split('?').next().unwrap_or(rest);
    let (login, place) = rest.split_once('@').unwrap_or(("root", rest));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (host, database) = place.split_once('/').ok_or("the URL names no database")?;
    let (host, port) = host.split_once(':').unwrap_or((host, "3306"));
    let done = Command::new("mysql")
        .args(["--protocol=tcp", "-u", user, "-h", host, "-P", port])
        .args(["-e", text, database])
        .env("MYSQL_PWD", password)
        .output()?;
    ended(done, "mysql").map(drop)
}

/// Runs a text with PostgreSQL's own client; what it prints.
pub(crate) fn psql(url: &str, text: &str) -> executor::Result<String> {
    let bare = url.split('?').next().unwrap_or(url);
    let done = Command::new("psql")
        .args(["-qAt", bare, "-c", text])
        .output()?;
    ended(done, "psql")
}

fn ended(done: std::process::Output, program: &str) -> executor::Result<String> {
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&done.stderr)).into())
}

/// The largest resident size of a process so far; this one is `self`.
pub(crate) fn peak_kib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
