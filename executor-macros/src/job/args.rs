//! The options of `#[job]`.

use proc_macro2::TokenStream;
use syn::{LitStr, Meta, Path, Token, parse::Parser, punctuated::Punctuated};

use crate::{
    crate_path,
    duration::{self, Range},
    errors::Errors,
    name,
    options::{self, set_once},
};

/// Durations are in milliseconds.
pub(crate) struct Args {
    pub(crate) name: Option<LitStr>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) backoff: Option<Range>,
    pub(crate) timeout: Option<u64>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) strict_lease: bool,
    pub(crate) blocking: bool,
    pub(crate) derives: Vec<Path>,
    pub(crate) krate: Path,
}

const KNOWN: &[&str] = &[
    "name",
    "retry",
    "timeout",
    "concurrency",
    "strict_lease",
    "blocking",
    "derive",
    "crate",
];
const RETRY: &str = "retry(max = 8, backoff = \"1s..5m\")";
const DERIVE: &str = "derive(Clone, Debug)";

impl Args {
    // name = "send_campaign"
    // retry(max = 8, backoff = "1s..5m")      either may be left out; backoff = "10s" is constant
    // timeout = "10m"
    // concurrency = 4
    // strict_lease
    // blocking
    // derive(Clone, Debug)
    // crate = "my_executor"
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let (mut name, mut retry, mut timeout, mut concurrency) = (None, None, None, None);
        let (mut strict_lease, mut blocking, mut derives, mut krate) = (None, None, None, None);
        for option in &options::parse(tokens, errors) {
            match options::name(option).as_str() {
                "name" => set_once(&mut name, option, errors, parse_name),
                "retry" => set_once(&mut retry, option, errors, Retry::parse),
                "timeout" => set_once(&mut timeout, option, errors, parse_timeout),
                "concurrency" => set_once(&mut concurrency, option, errors, parse_concurrency),
                "strict_lease" => set_once(&mut strict_lease, option, errors, options::flag),
                "blocking" => set_once(&mut blocking, option, errors, options::flag),
                "derive" => set_once(&mut derives, option, errors, parse_derives),
                "crate" => set_once(&mut krate, option, errors, crate_path::parse),
                "concurrency_global" | "rate" | "limit_key" => options::unavailable(option, errors),
                _ => options::unknown(option, KNOWN, errors),
            }
        }
        let Retry { max, backoff } = retry.unwrap_or_default();
        Self {
            name,
            max_retries: max,
            backoff,
            timeout,
            concurrency,
            strict_lease: strict_lease.is_some(),
            blocking: blocking.is_some(),
            derives: derives.unwrap_or_default(),
            krate: krate.unwrap_or_else(crate_path::default),
        }
    }
}

#[derive(Default)]
struct Retry {
    max: Option<u32>,
    backoff: Option<Range>,
}

impl Retry {
    // max = 8
    // backoff = "1s..5m"      or "10s"
    fn parse(option: &Meta, errors: &mut Errors) -> Option<Self> {
        let mut retry = Self::default();
        for option in &options::parse(options::list(option, RETRY, errors)?, errors) {
            match options::name(option).as_str() {
                "max" => set_once(&mut retry.max, option, errors, parse_max),
                "backoff" => set_once(&mut retry.backoff, option, errors, parse_backoff),
                _ => options::unknown(option, &["max", "backoff"], errors),
            }
        }
        Some(retry)
    }
}

fn parse_name(option: &Meta, errors: &mut Errors) -> Option<LitStr> {
    let literal = options::string(option, "name = \"send_campaign\"", errors)?;
    name::checked(literal, errors)
}

fn parse_max(option: &Meta, errors: &mut Errors) -> Option<u32> {
    let literal = options::integer(option, "max = 8", errors)?;
    options::number(literal, 0, errors)
}

fn parse_backoff(option: &Meta, errors: &mut Errors) -> Option<Range> {
    let literal = options::string(option, "backoff = \"1s..5m\"", errors)?;
    duration::range(&literal, errors)
}

fn parse_timeout(option: &Meta, errors: &mut Errors) -> Option<u64> {
    let literal = options::string(option, "timeout = \"10m\"", errors)?;
    duration::positive(&literal, errors)
}

fn parse_concurrency(option: &Meta, errors: &mut Errors) -> Option<u32> {
    let literal = options::integer(option, "concurrency = 4", errors)?;
    options::number(literal, 1, errors)
}

fn parse_derives(option: &Meta, errors: &mut Errors) -> Option<Vec<Path>> {
    let list = options::list(option, DERIVE, errors)?;
    let paths = Punctuated::<Path, Token![,]>::parse_terminated.parse2(list);
    errors.keep(paths).map(|paths| paths.into_iter().collect())
}
