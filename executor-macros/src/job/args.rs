//! The options of `#[job]`.

use proc_macro2::TokenStream;
use syn::{LitInt, LitStr, Meta, Path, Token, parse::Parser, punctuated::Punctuated};

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
    pub(crate) concurrency_global: Option<u32>,
    pub(crate) rate: Option<Rate>,
    pub(crate) burst: Option<LitInt>,
    pub(crate) limit_key: Option<LitStr>,
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
    "concurrency_global",
    "rate",
    "burst",
    "limit_key",
    "strict_lease",
    "blocking",
    "derive",
    "crate",
];
const RETRY: &str = "retry(max = 8, backoff = \"1s..5m\")";
const LIMIT_KEY: &str = "limit_key = \"customer_id\"";
const DERIVE: &str = "derive(Clone, Debug)";

impl Args {
    // name = "send_campaign"
    // retry(max = 8, backoff = "1s..5m")      either may be left out; backoff = "10s" is constant
    // timeout = "10m"
    // concurrency = 4
    // concurrency_global = 10
    // rate = "100/min"
    // burst = 20
    // limit_key = "customer_id"
    // strict_lease
    // blocking
    // derive(Clone, Debug)
    // crate = "my_executor"
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let (mut name, mut retry, mut timeout, mut concurrency) = (None, None, None, None);
        let (mut concurrency_global, mut rate, mut burst, mut limit_key) = (None, None, None, None);
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
                "concurrency_global" => {
                    set_once(&mut concurrency_global, option, errors, parse_concurrency);
                }
                "rate" => set_once(&mut rate, option, errors, Rate::parse),
                "burst" => set_once(&mut burst, option, errors, parse_burst),
                "limit_key" => set_once(&mut limit_key, option, errors, parse_limit_key),
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
            concurrency_global,
            rate,
            burst,
            limit_key,
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
    let example = format!("{} = 4", options::name(option));
    let literal = options::integer(option, &example, errors)?;
    options::number(literal, 1, errors)
}

fn parse_burst(option: &Meta, errors: &mut Errors) -> Option<LitInt> {
    let literal = options::integer(option, "burst = 20", errors)?;
    options::number(literal, 1, errors).map(|_| literal.clone())
}

fn parse_limit_key(option: &Meta, errors: &mut Errors) -> Option<LitStr> {
    options::string(option, LIMIT_KEY, errors).filter(|literal| {
        let named = !literal.value().is_empty();
        if !named {
            errors.at(
                literal,
                format!("the name of a field is missing: write it as `{LIMIT_KEY}`"),
            );
        }
        named
    })
}

/// So many in a time.
pub(crate) struct Rate {
    pub(crate) count: u32,
    pub(crate) per_ms: u64,
}

impl Rate {
    // rate = "100/min"        s, min, h, d, or a duration: "5/30s"
    fn parse(option: &Meta, errors: &mut Errors) -> Option<Self> {
        const EXAMPLES: &str = "\"100/min\", \"5/s\" or \"1/30s\"";
        let literal = options::string(option, "rate = \"100/min\"", errors)?;
        let text = literal.value();
        let parts = text.split_once('/');
        let read = parts.and_then(|(count, time)| {
            let count = count.trim().parse().ok().filter(|count| *count > 0)?;
            let time = time.trim();
            let time = match time.starts_with(|c: char| c.is_ascii_digit()) {
                true => time.to_owned(),
                false => format!("1{}", unit(time)),
            };
            let time = LitStr::new(&time, literal.span());
            Some((count, duration::positive(&time, errors)?))
        });
        if read.is_none() {
            errors.at(
                &literal,
                format!("this is no rate: write a number, a slash and a time, like {EXAMPLES}"),
            );
        }
        read.map(|(count, per_ms)| Self { count, per_ms })
    }
}

/// A unit of time by its short name.
fn unit(name: &str) -> &str {
    match name {
        "sec" | "second" => "s",
        "min" | "minute" => "m",
        "hour" => "h",
        "day" => "d",
        name => name,
    }
}

fn parse_derives(option: &Meta, errors: &mut Errors) -> Option<Vec<Path>> {
    let list = options::list(option, DERIVE, errors)?;
    let paths = Punctuated::<Path, Token![,]>::parse_terminated.parse2(list);
    errors.keep(paths).map(|paths| paths.into_iter().collect())
}
