//! The conditions of a [`Filter`] as SQL.

use super::{
    query::state,
    statement::{Statement, Value, composed},
};
use crate::store::Filter;

/// Conditions, each with `AND` before it, and their values.
pub(super) struct Conditions<'a> {
    pub(super) text: String,
    values: Vec<Value<'a>>,
}

impl<'a> Conditions<'a> {
    /// All but those on attributes, of which only the coarse part is SQL: see [`Filter::fits`].
    pub(super) fn of(filter: &'a Filter) -> Self {
        let mut all = Self {
            text: String::new(),
            values: Vec::new(),
        };
        if !filter.states.is_empty() {
            // States are words of ours, no text from outside.
            let states = filter.states.iter().map(|state| format!("'{state}'"));
            let states = states.collect::<Vec<_>>().join(", ");
            all.text.push_str(concat!(" AND ", state!(), " IN ("));
            all.text.push_str(&states);
            all.text.push(')');
        }
        all.that(" AND queue = ?", filter.queue.as_deref());
        all.that(" AND name = ?", filter.name.as_deref());
        all.that(" AND {job} = ?", filter.job.as_deref());
        all.that(
            " AND {position}(error_message, ?) > 0",
            filter.error.as_deref(),
        );
        let millis = |time: crate::Timestamp| Value::Int(Some(time.as_millis()));
        all.and(
            " AND {ms created_at} >= ?",
            filter.created_after.map(millis),
        );
        all.and(
            " AND {ms created_at} < ?",
            filter.created_before.map(millis),
        );
        if !filter.attributes.is_empty() {
            all.text.push_str(" AND CAST(attributes AS {text}) <> '{}'");
        }
        all
    }

    fn that(&mut self, condition: &str, text: Option<&'a str>) {
        self.and(condition, text.map(|text| Value::Text(Some(text.into()))));
    }

    fn and(&mut self, condition: &str, value: Option<Value<'a>>) {
        if let Some(value) = value {
            self.text.push_str(condition);
            self.values.push(value);
        }
    }

    /// A statement that has these conditions in it, with their values.
    pub(super) fn statement(self, before: &str, after: &str) -> Statement<'a> {
        let Self { text, values } = self;
        let statement = composed(format!("{before}{text}{after}"));
        values.into_iter().fold(statement, Statement::value)
    }
}

/// The places of so many ids in a list. There are few lengths, so that each is prepared once; an id may
/// stand there twice.
pub(super) fn among(ids: &[i64]) -> (String, impl Iterator<Item = i64>) {
    let places = places(ids.len());
    let last = ids.last().copied();
    let padded = ids.iter().copied().chain(last.into_iter().cycle());
    let text = format!(" AND id IN ({})", places.join(", "));
    (text, padded.take(places.len()))
}

/// At least so many places.
pub(super) fn places(values: usize) -> Vec<&'static str> {
    vec!["?"; values.next_power_of_two()]
}
