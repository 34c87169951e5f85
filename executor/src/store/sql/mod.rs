//! What the databases share: statements, and the verbs that are written once.
//!
//! A verb is a function over a [`Session`]: a transaction in which statements run. The embedded
//! store's session never waits, and the servers' sessions do; each brings a [`Dialect`], the few
//! words in which the databases differ. What must be fast is each database's own: claims, and the
//! writes of many programs in one statement.

pub(super) mod arrow;
pub(super) mod bulk;
pub(super) mod commit;
pub(super) mod control;
pub(super) mod create;
pub(super) mod dialect;
pub(super) mod ended;
mod filter;
mod history;
#[cfg(feature = "rabbitmq")]
pub(super) mod interop;
pub(super) mod leases;
pub(super) mod limit;
pub(super) mod promote;
pub(super) mod query;
pub(super) mod report;
pub(super) mod schedules;
pub(super) mod schema;
pub(super) mod statement;
pub(super) mod waits;
pub(super) mod workers;

use std::time::Duration;

use diesel::result::Error as DieselError;
use serde::{Deserialize, de::DeserializeOwned};

use self::statement::Statement;
use crate::error::{Error, ErrorKind};

/// A transaction in which a verb runs its statements.
pub(super) trait Session: Send {
    /// Runs a statement; how many rows it touched.
    fn run(&mut self, statement: Statement<'_>) -> impl Future<Output = Outcome<usize>> + Send;

    /// Runs a statement whose rows are one text each.
    fn texts(
        &mut self,
        statement: Statement<'_>,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;

    /// Runs a text of several statements, in which names are filled in.
    fn script(&mut self, template: &str) -> impl Future<Output = Outcome<()>> + Send;

    /// The name of the programs' table as the database's own tables know it: its schema where it has
    /// one, and the bare name.
    fn table_name(&self) -> (Option<String>, String);
}

/// Runs a statement whose rows are one JSON object each.
pub(super) async fn rows<S: Session, T: DeserializeOwned>(
    s: &mut S,
    statement: Statement<'_>,
) -> Outcome<Vec<T>> {
    let texts = s.texts(statement).await?;
    let read = |text: String| {
        serde_json::from_str(&text).map_err(|e| {
            let message = "a row of the store can't be read";
            Failure::Ours(Error::with_source(ErrorKind::Store, message, e))
        })
    };
    texts.into_iter().map(read).collect()
}

pub(super) type Outcome<T> = std::result::Result<T, Failure>;

/// Why a verb failed: its own reason, or the database's.
#[derive(Debug)]
pub(super) enum Failure {
    Ours(Error),
    Sql(DieselError),
}

impl From<DieselError> for Failure {
    fn from(error: DieselError) -> Self {
        Self::Sql(error)
    }
}

pub(super) fn conflict(message: impl Into<String>) -> Failure {
    Failure::Ours(Error::new(ErrorKind::Conflict, message))
}

pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::Ours(Error::new(ErrorKind::InvalidData, message))
}

/// A duration in the milliseconds of the columns.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

/// A number of ours as the columns hold it.
pub(super) fn number(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The places of a list, and the values for them: their number is rounded up, so that there are few
/// different statements.
fn list<T: Clone>(mut values: Vec<T>, none: T) -> (String, Vec<T>) {
    let last = values.last().cloned().unwrap_or(none);
    values.resize(values.len().next_power_of_two(), last);
    (vec!["?"; values.len()].join(", "), values)
}

/// A condition, which one database gives as `true` and another as 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Bool(bool),
            Number(i64),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Bool(flag) => flag,
            Either::Number(number) => number != 0,
        }))
    }
}
