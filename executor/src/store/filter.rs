//! Which programs a list shows, and which a verb is for that is done to many.

use std::time::SystemTime;

use serde_json::{Map, Number, Value};

use super::ProgramState;
use crate::time::Timestamp;

/// Programs by what is known of them: all conditions must hold.
///
/// A list shows the newest first.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use executor::{Filter, ProgramState};
///
/// let failed_mails = Filter::new()
///     .state(ProgramState::Errored)
///     .queue("mail")
///     .error("connection refused")
///     .created_after(SystemTime::now() - Duration::from_secs(3600))
///     .attribute("customer", 7);
/// # let _ = failed_mails;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub(crate) states: Vec<ProgramState>,
    pub(crate) queue: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) job: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) created_after: Option<Timestamp>,
    pub(crate) created_before: Option<Timestamp>,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) limit: Option<usize>,
}

impl Filter {
    /// All programs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Programs in this state; several add up.
    pub fn state(mut self, state: ProgramState) -> Self {
        self.states.push(state);
        self
    }

    /// Programs of this queue.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Programs of this name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Programs whose current job is this.
    pub fn job(mut self, job: impl Into<String>) -> Self {
        self.job = Some(job.into());
        self
    }

    /// Programs whose last error has this text in it, letter by letter: no character stands for
    /// others, and upper case is not lower case.
    pub fn error(mut self, text: impl Into<String>) -> Self {
        self.error = Some(text.into());
        self
    }

    /// Programs that were created at this time or later.
    pub fn created_after(mut self, time: SystemTime) -> Self {
        self.created_after = Some(time.into());
        self
    }

    /// Programs that were created before this time.
    pub fn created_before(mut self, time: SystemTime) -> Self {
        self.created_before = Some(time.into());
        self
    }

    /// Programs that have an attribute of this name with this very value; several must all be there.
    /// Numbers are compared by what they are worth (`1` is `1.0`), objects and lists as a whole, and
    /// `null` is the value of an attribute that is there.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// So many at most. A list shows 100 unless said otherwise; what is done to many has no limit.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Whether these attributes, a JSON text, are as they should be. It is here and not in SQL, where
    /// no two databases mean the same by it.
    pub(crate) fn fits(&self, attributes: &str) -> bool {
        if self.attributes.is_empty() {
            return true;
        }
        let Ok(Value::Object(found)) = serde_json::from_str(attributes) else {
            return false;
        };
        let fits =
            |(name, wanted)| Map::get(&found, name).is_some_and(|value| is_same(value, wanted));
        self.attributes.iter().all(fits)
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => is_worth(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(name, value)| Map::get(other, name).is_some_and(|v| is_same(value, v));
            one.len() == other.len() && one.iter().all(same)
        }
        _ => one == other,
    }
}

fn is_worth(one: &Number, other: &Number) -> bool {
    // Whole numbers by their digits: a float can't tell large ones apart.
    let digits = |number: &Number| number.as_i128();
    match (digits(one), digits(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.as_f64() == other.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(attributes: &Value, wanted: &Value) -> bool {
        let filter = Filter::new().attribute("a", wanted.clone());
        filter.fits(&json!({ "a": attributes, "b": 1 }).to_string())
    }

    #[test]
    fn attributes_are_equal_by_what_they_are_worth() {
        for (one, other) in [
            (json!(1), json!(1.0)),
            (json!(null), json!(null)),
            (json!("%"), json!("%")),
            (json!([1, {"x": 2}]), json!([1.0, {"x": 2}])),
            (json!({"x": 1, "y": 2}), json!({"y": 2, "x": 1})),
        ] {
            assert!(fits(&one, &other), "{one} is {other}");
        }
        for (one, other) in [
            (json!(1), json!("1")),
            (json!(1), json!(true)),
            (
                json!(9_007_199_254_740_993_i64),
                json!(9_007_199_254_740_992_i64),
            ),
            (json!("Ada"), json!("ada")),
            (json!([1, 2]), json!([2, 1])),
            (json!([1]), json!(1)),
            (json!({"x": 1, "y": 2}), json!({"x": 1})),
        ] {
            assert!(!fits(&one, &other), "{one} is not {other}");
        }
    }

    #[test]
    fn an_attribute_that_is_not_there_is_not_null() {
        let filter = Filter::new().attribute("c", Value::Null);
        assert!(!filter.fits("{}"));
        assert!(filter.fits("{\"c\": null}"));
        assert!(!filter.fits("spoilt"));
    }
}
