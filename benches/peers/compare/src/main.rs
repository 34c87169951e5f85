//! Runs the contestants in turn, round by round, and prints a table of the medians.
//!
//! `cargo build --release && target/release/compare`. Each measuring is a process of its own on a
//! fresh database, which is dropped afterwards.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]

mod contestants;
mod round;
mod table;

use clap::Parser;
use contest::{Part, Result};

use crate::round::Results;

#[derive(Parser)]
struct Arguments {
    /// Rounds; the table has their medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Programs of one measuring; those who are slow get fewer.
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// What to measure, with commas; all, unless given.
    #[arg(long, value_enum, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Whom to measure, with commas; all, unless given.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A database of the server, in which databases may be created.
    #[arg(long, default_value = "postgres://postgres@127.0.0.1:5432/postgres")]
    database_url: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.parts.is_empty() {
        arguments.parts = Part::ALL.to_vec();
    }
    let contestants = contestants::chosen(&arguments.only)?;
    let mut results = Results::default();
    for number in 0..arguments.rounds {
        for part in &arguments.parts {
            round::run(&contestants, *part, number, &arguments, &mut results).await?;
        }
    }
    print!("{}", table::markdown(&contestants, &arguments, &results));
    Ok(())
}
