//! Programs that start by themselves.

use executor::{Slot, prelude::*};

#[job]
async fn report(day: Option<Slot>, again: bool) -> Result<(), JobError> {
    println!("{day:?} {again}");
    Ok(())
}

#[program(schedule = "0 3 * * *", timezone = "Europe/Budapest", catch_up = "none")]
fn nightly(slot: Option<Slot>, again: bool, title: Option<String>) -> impl IntoProgram {
    Report { day: slot, again: again && title.is_none() }
}

#[program(name = "of the day", schedule = "@daily")]
async fn daily(slot: executor::Slot) -> Result<impl IntoProgram, std::io::Error> {
    Ok(Report { day: Some(slot), again: false })
}

#[program(schedule = "*/10 0 3 * * SUN#1")]
fn by_the_second() -> impl IntoProgram {
    Report { day: None, again: false }
}

/// An argument may ask for the slot without a schedule: one may be set at run time.
#[program]
fn on_demand(slot: Slot) -> impl IntoProgram {
    Report { day: Some(slot), again: true }
}

fn main() {}
