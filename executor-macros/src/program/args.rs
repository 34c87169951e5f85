//! The options of `#[program]`.

use proc_macro2::TokenStream;
use syn::{LitStr, Meta, Path};

use crate::{
    crate_path,
    errors::Errors,
    name,
    options::{self, set_once},
};

pub(crate) struct Args {
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Path,
}

impl Args {
    // name = "campaign"
    // crate = "my_executor"
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let (mut name, mut krate) = (None, None);
        for option in &options::parse(tokens, errors) {
            match options::name(option).as_str() {
                "name" => set_once(&mut name, option, errors, parse_name),
                "crate" => set_once(&mut krate, option, errors, crate_path::parse),
                "schedule" | "timezone" | "catch_up" => options::unavailable(option, errors),
                _ => options::unknown(option, &["name", "crate"], errors),
            }
        }
        Self {
            name,
            krate: krate.unwrap_or_else(crate_path::default),
        }
    }
}

fn parse_name(option: &Meta, errors: &mut Errors) -> Option<LitStr> {
    let literal = options::string(option, "name = \"campaign\"", errors)?;
    name::checked(literal, errors)
}
