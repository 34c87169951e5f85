//! Programs that start by themselves.
//!
//! `cargo run --example schedules` works: every ten seconds it counts, and at night it reports.
//! Meanwhile, in another terminal:
//!
//! - `cargo run --example schedules -- schedules` shows when what is due;
//! - `… -- schedules run nightly` does not wait for the night;
//! - `… -- schedules pause count` stops it, and `resume` lets it go on;
//! - `… -- schedules set "count slowly" --program count --cron "* * * * *" --arguments '{"by": 10}'`
//!   makes one more, without a new build.

use executor::{Slot, prelude::*};

/// A job gets the slot as data: it is the time meant, however late it runs.
#[job]
async fn report(night: Option<Slot>) -> Result<(), JobError> {
    match night {
        Some(night) => println!("the report of the night of {night}"),
        None => println!("a report that somebody wanted now"),
    }
    Ok(())
}

#[job]
async fn add(by: u32) -> Result<u32, JobError> {
    println!("{by} more");
    Ok(by)
}

/// Reports at three in the morning, where that is; a night that no worker saw is made up for.
#[program(
    name = "nightly",
    schedule = "0 3 * * *",
    timezone = "Europe/Budapest",
    catch_up = "last"
)]
fn nightly(slot: Option<Slot>) -> impl IntoProgram {
    // Where the last one is not through yet, no other one is started beside it.
    Report { night: slot }.unique("nightly")
}

/// Counts every ten seconds; what was missed is not missed.
#[program(name = "count", schedule = "*/10 * * * * *", catch_up = "none")]
fn count(
    /// How far it goes.
    by: Option<u32>,
) -> impl IntoProgram {
    Add {
        by: by.unwrap_or(1),
    }
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    executor::builder()
        .database_url("sqlite:schedules.db")
        .run()
        .await
}
