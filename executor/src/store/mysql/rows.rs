//! Many rows as one value: JSON text, which `JSON_TABLE` unfolds.

use crate::store::sql::statement::Value;

/// Rows of values, each an array.
pub(super) struct Rows(String);

impl Rows {
    pub(super) fn new() -> Self {
        Self("[".to_owned())
    }

    pub(super) fn push<'v, 'a: 'v>(&mut self, values: impl IntoIterator<Item = &'v Value<'a>>) {
        self.0.push_str(if self.0.len() == 1 { "[" } else { ",[" });
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            match value {
                Value::Int(Some(number)) => self.0.push_str(&number.to_string()),
                // A text can always be written.
                Value::Text(Some(text)) => {
                    self.0
                        .push_str(&serde_json::to_string(text).unwrap_or_default());
                }
                _ => self.0.push_str("null"),
            }
        }
        self.0.push(']');
    }

    pub(super) fn into_text(mut self) -> String {
        self.0.push(']');
        self.0
    }
}

/// Numbers, for [`ids!`].
pub(super) fn list(numbers: impl IntoIterator<Item = i64>) -> String {
    let numbers: Vec<_> = numbers.into_iter().collect();
    // Numbers can always be written.
    serde_json::to_string(&numbers).unwrap_or_default()
}

/// Texts, for [`words!`].
pub(super) fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let mut list = Rows::new();
    for text in texts {
        list.push(&[Value::Text(Some(text.as_ref().to_owned().into()))]);
    }
    list.into_text()
}

/// The place of a [`list`] of ids, as the table `w` with the column `wid`.
macro_rules! ids {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS (wid BIGINT PATH '$')) w"
    };
}
pub(super) use ids;

/// The place of a list of [`texts`], as a table with the column `word`. Names are no longer than their
/// columns: one that is becomes NULL, and is found nowhere.
macro_rules! words {
    ($table:literal) => {
        concat!(
            "JSON_TABLE(?, '$[*]' COLUMNS (",
            "word VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[0]')) ",
            $table
        )
    };
}
pub(super) use words;

/// The programs' table, looked up by the key of a row of [`ids!`].
macro_rules! by_id {
    () => {
        concat!(
            $crate::store::mysql::rows::ids!(),
            " STRAIGHT_JOIN {t} p FORCE INDEX (PRIMARY) ON p.id = w.wid"
        )
    };
}
pub(super) use by_id;
