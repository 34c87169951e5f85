//! An application as users write it, for the tests of the command line.
#![allow(clippy::print_stdout, reason = "jobs may print")]

use std::{path::Path, time::Duration};

use executor::prelude::*;

/// Greets somebody.
///
/// In the way of the house.
#[job(name = "greet", retry(max = 3, backoff = "1s..2m"), timeout = "10m")]
async fn greet(name: String, times: Option<u32>) -> Result<String, JobError> {
    Ok(format!("hello {name}").repeat(times.unwrap_or(1) as usize))
}

#[job]
async fn shout(greeting: Output<Greet>) -> Result<String, JobError> {
    Ok(greeting.to_uppercase())
}

/// Fails once, and is tried again at once.
#[job(retry(max = 3, backoff = "1ms..2ms"))]
async fn stumble(ctx: Context) -> Result<(), JobError> {
    match ctx.attempt() {
        1 => Err(JobError::retry("stumbled")),
        _ => Ok(()),
    }
}

/// Fails for good where there is no such file.
#[job]
async fn need_file(path: String) -> Result<(), JobError> {
    match Path::new(&path).exists() {
        true => Ok(()),
        false => Err(JobError::fatal(format!("there is no {path}"))),
    }
}

/// Runs until there is such a file.
#[job]
async fn wait_for_file(path: String, mut looked: Saved<u32>) -> Result<(), JobError> {
    looked.set(*looked + 1).await?;
    while !Path::new(&path).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Leaves the rest to somebody else.
#[job]
async fn delegate(ctx: Context) -> Result<u32, JobError> {
    println!("token {}", ctx.hand_off_token());
    Err(JobError::hand_off())
}

/// Greets a customer.
#[program]
fn welcome(
    /// Who is greeted.
    customer_name: String,
    customer_id: i64,
    loud: bool,
    times: Option<u32>,
) -> impl IntoProgram {
    let name = format!("{customer_name} ({customer_id})");
    Program::new(())
        .then(Greet { name, times })
        .then_if(loud, Shout)
}

/// Takes the names of the command line's own options.
#[program]
fn greedy(
    help: String,
    json: bool,
    follow: Option<String>,
    table: Option<String>,
) -> impl IntoProgram {
    let all = [
        help,
        json.to_string(),
        follow.unwrap_or_default(),
        table.unwrap_or_default(),
    ];
    Greet::new(all.join("/")).into_program()
}

/// Waits for a file.
#[program]
fn patience(path: String) -> impl IntoProgram {
    Program::new(())
        .then(WaitForFile::new(path))
        .then(Greet::new("you".to_owned()))
}

/// Greets once a year.
#[program(schedule = "0 0 1 1 *")]
fn yearly(name: Option<String>) -> impl IntoProgram {
    Greet::new(name.unwrap_or_else(|| "all".to_owned()))
}

fn main() -> executor::Result<()> {
    let mut runtime = match std::env::var_os("APP_SINGLE_THREAD") {
        Some(_) => tokio::runtime::Builder::new_current_thread(),
        None => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(executor::run())
}
