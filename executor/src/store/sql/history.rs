//! The column `errors`: the last failed attempts.

use crate::store::Failure;

/// One entry, as the value for the place in `{history}`, which adds the time.
pub(super) fn entry(failure: &Failure) -> String {
    #[derive(serde::Serialize)]
    struct Entry<'a> {
        step: usize,
        job: &'a str,
        attempt: u32,
        error: &'a str,
    }
    let entry = Entry {
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
