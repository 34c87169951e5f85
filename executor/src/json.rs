//! JSON as the engine handles it: text that is parsed where it is read, never on the way.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// An object whose values are still text.
pub(crate) type RawMap = BTreeMap<String, Box<RawValue>>;

/// Why a text does not fit a type: the place in it, and what is wrong there.
#[derive(Debug)]
pub(crate) struct DataError {
    path: String,
    problem: String,
}

impl std::fmt::Display for DataError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path == "." {
            f.write_str(&self.problem)
        } else {
            write!(f, "at {}: {}", self.path, self.problem)
        }
    }
}

impl std::error::Error for DataError {}

/// Reads `text` as a `T`; the error has the path of the field.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, DataError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(data_error)?;
    deserializer.end().map_err(|e| DataError {
        path: ".".into(),
        problem: e.to_string(),
    })?;
    Ok(value)
}

/// As [`read`], and refuses fields that `T` does not have.
pub(crate) fn read_strictly<T: DeserializeOwned>(text: &str) -> Result<T, DataError> {
    let mut unknown = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let value = serde_ignored::deserialize(tracked, |path| {
        unknown.get_or_insert_with(|| path.to_string());
    });
    match (value, unknown) {
        (Err(error), _) => Err(data_error(serde_path_to_error::Error::new(
            track.path(),
            error,
        ))),
        (Ok(_), Some(field)) => Err(DataError {
            path: field,
            problem: "no such field".to_owned(),
        }),
        (Ok(value), None) => Ok(value),
    }
}

fn data_error(error: serde_path_to_error::Error<serde_json::Error>) -> DataError {
    DataError {
        path: error.path().to_string(),
        problem: error.inner().to_string(),
    }
}

/// Writes `value` as text, refusing what not every store can hold.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, DataError> {
    let fail = |problem: String| DataError {
        path: ".".into(),
        problem,
    };
    let raw = serde_json::value::to_raw_value(value).map_err(|e| fail(e.to_string()))?;
    if has_nul(raw.get()) {
        return Err(fail(
            "text with the character \\u0000 can't be stored".to_owned(),
        ));
    }
    Ok(raw)
}

/// Whether a JSON text has the escaped character U+0000, which PostgreSQL's `jsonb` refuses;
/// all stores refuse it alike.
pub(crate) fn has_nul(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(at, _)| {
        let slashes = text[..at].bytes().rev().take_while(|b| *b == b'\\').count();
        slashes % 2 == 0
    })
}

/// A raw map as text; an empty one costs nothing to make.
pub(crate) fn map_text(map: &RawMap) -> String {
    if map.is_empty() {
        return "{}".to_owned();
    }
    // Keys are strings and values are JSON already, so that nothing can fail here.
    serde_json::to_string(map).unwrap_or_else(|_| "{}".to_owned())
}

/// Reads an object's fields without parsing their values; `{}` for an empty text.
pub(crate) fn read_map(text: &str) -> Result<RawMap, DataError> {
    match text {
        "" | "{}" | "null" => Ok(RawMap::new()),
        text => read(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_path_of_the_field() {
        #[derive(Debug, serde::Deserialize)]
        struct Outer {
            #[allow(dead_code)] // only read by the deserializer
            inner: Vec<u8>,
        }
        let error = read::<Outer>(r#"{"inner": [1, 2, "x"]}"#).expect_err("it is wrong");
        assert!(
            error.to_string().starts_with("at inner[2]: invalid type"),
            "{error}"
        );
        let error = read_strictly::<Outer>(r#"{"inner": [], "iner": 1}"#).expect_err("it is wrong");
        assert_eq!(error.to_string(), "at iner: no such field");
        let error = read::<Outer>("{nonsense").expect_err("it is wrong");
        assert!(error.to_string().contains("line 1 column 2"), "{error}");
    }

    #[test]
    fn finds_the_nul_and_not_its_like() {
        assert!(has_nul(r#""a\u0000""#));
        assert!(!has_nul(r#""a\\u0000""#));
        assert!(has_nul(r#""a\\\u0000""#));
        assert!(write("a\0b").is_err());
    }
}
