//! Values that people type.

use std::{fs, io, path::PathBuf, time::Duration};

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// JSON as an argument: itself, `@file`, or `-` for stdin.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Inline(Value),
    File(PathBuf),
    Stdin,
}

impl Json {
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        match text.strip_prefix('@') {
            Some(path) => Ok(Self::File(path.into())),
            None if text == "-" => Ok(Self::Stdin),
            None => serde_json::from_str(text).map(Self::Inline).map_err(|e| {
                format!("no JSON ({e}); write it like '{{\"a\": 1}}', @file.json, or - for stdin")
            }),
        }
    }

    /// The value, from wherever it is.
    pub(super) fn read(self) -> Result<Value> {
        let (place, text) = match self {
            Self::Inline(value) => return Ok(value),
            Self::File(path) => (path.display().to_string(), fs::read_to_string(&path)),
            Self::Stdin => ("stdin".to_owned(), io::read_to_string(io::stdin())),
        };
        let text = text.map_err(|e| {
            Error::with_source(ErrorKind::InvalidData, format!("{place} can't be read"), e)
        })?;
        serde_json::from_str(&text).map_err(|e| {
            Error::with_source(ErrorKind::InvalidData, format!("{place} has no JSON"), e)
        })
    }
}

/// A duration as people write it.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("{e}; write it like 30s, 5m, 2h or 7d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stands_inline_or_in_a_file() {
        assert!(matches!(Json::parse("{\"a\": 1}"), Ok(Json::Inline(_))));
        assert!(matches!(Json::parse("-"), Ok(Json::Stdin)));
        assert!(matches!(Json::parse("-7"), Ok(Json::Inline(_))));
        assert!(matches!(Json::parse("@a.json"), Ok(Json::File(path)) if *path == *"a.json"));
        let error = Json::parse("{nonsense").expect_err("no JSON");
        assert!(
            error.starts_with("no JSON (key must be a string"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Json::File("/no/such.json".into())
            .read()
            .expect_err("no file");
        assert!(
            error
                .to_string()
                .starts_with("/no/such.json can't be read: "),
            "{error}"
        );
    }
}
