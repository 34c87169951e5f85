//! The body of a message: `{"v": 1, "run_id": "…"}`.
//!
//! The run id is a hint for people who look at it; the claim goes by the store alone. A reader takes any
//! version: the fields to come will be hints too.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::run_id::RunId;

#[derive(Serialize)]
struct Body<'a> {
    v: u32,
    run_id: &'a RunId,
}

pub(super) fn write(run_id: &RunId) -> Vec<u8> {
    // A number and a text can always be written.
    serde_json::to_vec(&Body { v: 1, run_id }).unwrap_or_default()
}

/// Whether it is a permit; why it is none.
pub(super) fn read(body: &[u8]) -> Result<(), String> {
    let body: HashMap<Box<str>, &RawValue> =
        serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let version = body.get("v").ok_or("it has no version")?;
    match serde_json::from_str(version.get()) {
        Ok(1u32..) => Ok(()),
        _ => Err(format!("it has the version {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let body = write(&RunId::from("7"));
        assert_eq!(body, br#"{"v":1,"run_id":"7"}"#);
        assert_eq!(read(&body), Ok(()));
        assert_eq!(read(br#"{"v":2,"more":true}"#), Ok(()));
        for other in [&b"{}"[..], b"", b"[1]", b"\xff", br#"{"v":0}"#] {
            assert!(read(other).is_err(), "{other:?}");
        }
    }
}
