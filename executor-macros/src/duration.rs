//! Durations in attributes: `"30s"`, `"1h 30m"`, and the range `"1s..5m"`. The expansion has them in milliseconds.

use std::time::Duration;

use syn::LitStr;

use crate::errors::Errors;

const EXAMPLES: &str = "\"30s\", \"5m\" or \"1h 30m\"";
const RANGES: &str = "\"1s..5m\", or \"10s\" for one that stays the same";

/// A duration above zero.
pub(crate) fn positive(literal: &LitStr, errors: &mut Errors) -> Option<u64> {
    match millis(literal, &literal.value(), EXAMPLES, errors)? {
        0 => {
            errors.at(
                literal,
                "a duration of zero makes no sense here: write at least \"1ms\"",
            );
            None
        }
        millis => Some(millis),
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

/// `"1s..5m"`, or `"10s"` for a constant.
pub(crate) fn range(literal: &LitStr, errors: &mut Errors) -> Option<Range> {
    let text = literal.value();
    let Some((min, max)) = text.split_once("..") else {
        let constant = millis(literal, &text, RANGES, errors)?;
        return Some(Range {
            min: constant,
            max: constant,
        });
    };
    let range = Range {
        min: millis(literal, min, RANGES, errors)?,
        max: millis(literal, max, RANGES, errors)?,
    };
    if range.min > range.max {
        let (min, max) = (min.trim(), max.trim());
        errors.at(
            literal,
            format!(
                "`{min}` is longer than `{max}`: write the shorter one first, \"{max}..{min}\""
            ),
        );
        return None;
    }
    Some(range)
}

fn millis(literal: &LitStr, text: &str, examples: &str, errors: &mut Errors) -> Option<u64> {
    let parsed = humantime::parse_duration(text.trim()).ok();
    let millis = parsed.and_then(|duration: Duration| u64::try_from(duration.as_millis()).ok());
    if millis.is_none() {
        let text = text.trim();
        errors.at(
            literal,
            format!("`{text}` is not a duration: write it like {examples}"),
        );
    }
    millis
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    fn read<T>(text: &str, parse: fn(&LitStr, &mut Errors) -> Option<T>) -> Result<T, Vec<String>> {
        let mut errors = Errors::default();
        let value = parse(&LitStr::new(text, Span::call_site()), &mut errors);
        value.ok_or_else(|| errors.messages())
    }

    #[test]
    fn durations_are_milliseconds() {
        assert_eq!(read("10m", positive), Ok(600_000));
        assert_eq!(read("1h 30m", positive), Ok(5_400_000));
        assert_eq!(
            read("1s..5m", range),
            Ok(Range {
                min: 1_000,
                max: 300_000
            })
        );
        assert_eq!(
            read("10s", range),
            Ok(Range {
                min: 10_000,
                max: 10_000
            })
        );
    }

    #[test]
    fn a_bad_duration_shows_how_to_write_one() {
        let message = "`10` is not a duration: write it like \"30s\", \"5m\" or \"1h 30m\"";
        assert_eq!(read("10", positive), Err(vec![message.to_owned()]));
        assert!(read("", positive).is_err());
        let message = "`10` is not a duration: write it like \"1s..5m\", or \"10s\" for one that stays the same";
        assert_eq!(read("1s..10", range), Err(vec![message.to_owned()]));
    }

    #[test]
    fn zero_is_refused() {
        let message = "a duration of zero makes no sense here: write at least \"1ms\"";
        assert_eq!(read("0s", positive), Err(vec![message.to_owned()]));
        assert_eq!(read("10us", positive), Err(vec![message.to_owned()]));
    }

    #[test]
    fn a_range_upside_down_is_turned_round() {
        let message = "`5m` is longer than `1s`: write the shorter one first, \"1s..5m\"";
        assert_eq!(read("5m..1s", range), Err(vec![message.to_owned()]));
    }
}
