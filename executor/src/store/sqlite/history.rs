//! The column `errors`: the last failed attempts.

use crate::store::Failure;

/// The last errors with one more; what somebody has spoilt by hand is begun anew.
macro_rules! history {
    () => {
        "errors = json_insert(CASE WHEN NOT json_valid(errors) THEN '[]' \
           WHEN json_type(errors) <> 'array' THEN '[]' \
           WHEN json_array_length(errors) < 20 THEN errors \
           ELSE json_remove(errors, '$[0]') END, '$[#]', json(?))"
    };
}

/// One entry, as the value for [`history`]'s question mark.
pub(super) fn entry(failure: &Failure, at: &str) -> String {
    #[derive(serde::Serialize)]
    struct Entry<'a> {
        at: &'a str,
        step: usize,
        job: &'a str,
        attempt: u32,
        error: &'a str,
    }
    let entry = Entry {
        at,
        step: failure.step,
        job: &failure.job,
        attempt: failure.attempt,
        error: cut(&failure.message, 2048),
    };
    // Strings and numbers alone: nothing here can fail.
    serde_json::to_string(&entry).unwrap_or_else(|_| "{}".to_owned())
}

/// The beginning of a text, at most so many bytes, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
