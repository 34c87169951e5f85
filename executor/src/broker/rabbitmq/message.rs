//! The body of a message: `{"v": 1, "run_id": "…"}`.
//!
//! The run id is a hint for people who look at it; the claim goes by the store alone. A reader takes any
//! version: the fields to come will be hints too.

use serde::{Deserialize, Serialize};

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
    #[derive(Deserialize)]
    struct Body {
        v: u32,
    }
    match serde_json::from_slice(body) {
        Ok(Body { v: 1.. }) => Ok(()),
        Ok(Body { v: 0 }) => Err("version 0".to_owned()),
        Err(error) => Err(error.to_string()),
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
