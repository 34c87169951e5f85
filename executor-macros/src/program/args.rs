//! The options of `#[program]`.

use proc_macro2::TokenStream;
use syn::{LitStr, Meta, Path};

use super::schedule::{self, Schedule};
use crate::{
    crate_path,
    errors::Errors,
    name,
    options::{self, set_once},
};

pub(crate) struct Args {
    pub(crate) name: Option<LitStr>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) krate: Path,
}

const KNOWN: [&str; 5] = ["name", "schedule", "timezone", "catch_up", "crate"];

impl Args {
    // name = "campaign"
    // schedule = "0 3 * * *", timezone = "Europe/Budapest", catch_up = "last"
    // crate = "my_executor"
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let (mut name, mut krate) = (None, None);
        let mut times = schedule::Options::default();
        for option in &options::parse(tokens, errors) {
            match options::name(option).as_str() {
                "name" => set_once(&mut name, option, errors, parse_name),
                "crate" => set_once(&mut krate, option, errors, crate_path::parse),
                "schedule" => set_once(&mut times.schedule, option, errors, schedule::line),
                "timezone" => set_once(&mut times.timezone, option, errors, schedule::timezone),
                "catch_up" => set_once(&mut times.catch_up, option, errors, schedule::catch_up),
                _ => options::unknown(option, &KNOWN, errors),
            }
        }
        Self {
            name,
            schedule: times.into_schedule(errors),
            krate: krate.unwrap_or_else(crate_path::default),
        }
    }
}

fn parse_name(option: &Meta, errors: &mut Errors) -> Option<LitStr> {
    let literal = options::string(option, "name = \"campaign\"", errors)?;
    name::checked(literal, errors)
}
