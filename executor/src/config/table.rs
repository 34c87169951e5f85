//! The name of the tables.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// The name of the programs' table; the other tables' names begin with it.
#[derive(Clone, Debug)]
pub(crate) struct TableName(String);

impl Default for TableName {
    fn default() -> Self {
        Self("programs".to_owned())
    }
}

impl TableName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // PostgreSQL cuts names at 63 bytes; ours have suffixes of up to 16. `?` marks the places
        // of values in our statements.
        let problem = if text.is_empty() {
            "is empty"
        } else if text.len() > 46 {
            "is longer than 46 bytes"
        } else if text.contains(|c: char| c.is_control() || matches!(c, '?' | '`' | '\\')) {
            "has a character that can't stand there (control characters, ?, ` and \\ can't)"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(Error::new(
            ErrorKind::Configuration,
            format!("the table name {text:?} {problem}"),
        ))
    }
}
