//! Which programs a command is for, as people say it.

use std::time::{Duration, SystemTime};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::Value;

use crate::store::{Filter, ProgramState};

#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Filter options")]
pub(super) struct FilterArgs {
    /// Only programs in this state; can be repeated
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = states())]
    states: Vec<ProgramState>,
    /// Only programs of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only programs of this name
    #[arg(long)]
    name: Option<String>,
    /// Only programs whose current job is this
    #[arg(long)]
    job: Option<String>,
    /// Only programs whose last error has this text in it
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only programs created at this time or later: like 2h (so long ago), or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_after: Option<SystemTime>,
    /// Only programs created before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_before: Option<SystemTime>,
    /// Only programs with this attribute; the value is JSON, or else a text; can be repeated
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, Value)>,
}

impl FilterArgs {
    /// Whether it says anything.
    pub(super) fn is_given(&self) -> bool {
        !self.states.is_empty()
            || !self.attributes.is_empty()
            || self.created_after.is_some()
            || self.created_before.is_some()
            || [&self.queue, &self.name, &self.job, &self.error]
                .iter()
                .any(|text| text.is_some())
    }

    pub(super) fn filter(self) -> Filter {
        let mut filter = Filter::new();
        for state in self.states {
            filter = filter.state(state);
        }
        if let Some(queue) = self.queue {
            filter = filter.queue(queue);
        }
        if let Some(name) = self.name {
            filter = filter.name(name);
        }
        if let Some(job) = self.job {
            filter = filter.job(job);
        }
        if let Some(text) = self.error {
            filter = filter.error(text);
        }
        if let Some(time) = self.created_after {
            filter = filter.created_after(time);
        }
        if let Some(time) = self.created_before {
            filter = filter.created_before(time);
        }
        for (name, value) in self.attributes {
            filter = filter.attribute(name, value);
        }
        filter
    }
}

pub(super) fn states() -> impl TypedValueParser<Value = ProgramState> {
    PossibleValuesParser::new(ProgramState::ALL.map(ProgramState::as_str))
        .try_map(|state| state.parse::<ProgramState>().map_err(|e| e.to_string()))
}

/// A time, or how long ago it was.
fn time(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let most = Duration::from_secs(100 * 365 * 24 * 3600);
        return Ok(SystemTime::now() - ago.min(most));
    }
    humantime::parse_rfc3339_weak(text)
        .map_err(|e| format!("{e}; write it like 2h (so long ago), or 2026-01-31T12:00:00Z"))
}

fn attribute(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write it like customer=7 or plan=\"gold\"")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attribute_is_json_or_a_text() {
        let read = |text: &str| attribute(text).expect("an attribute");
        assert_eq!(read("customer=7"), ("customer".to_owned(), json!(7)));
        assert_eq!(
            read("plan=gold=new"),
            ("plan".to_owned(), json!("gold=new"))
        );
        assert_eq!(read("plan=\"7\""), ("plan".to_owned(), json!("7")));
        assert!(attribute("customer").is_err());
    }

    #[test]
    fn a_time_is_one_or_counts_back() {
        assert!(time("2h").expect("a time") < SystemTime::now());
        let time_of = |text| humantime::format_rfc3339(time(text).expect("a time")).to_string();
        assert_eq!(time_of("2026-01-31 12:00:00"), "2026-01-31T12:00:00Z");
        assert!(
            time("soon")
                .expect_err("no time")
                .contains("write it like 2h")
        );
    }
}
