//! The body of a message between program-executor's processes and ours:
//! `{"runId": "…", "jobs": ["…"], "programData": …}`, with the jobs that are left.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    broker::{Announcement, Left},
    store::Offer,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    run_id: &'a str,
    jobs: &'a [Box<str>],
    program_data: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    run_id: String,
    jobs: Vec<String>,
}

/// What says that a program is about to run these jobs.
pub(in crate::broker::rabbitmq) fn write(announcement: &Announcement, left: &Left) -> Vec<u8> {
    // What is stored is JSON; should somebody have spoilt it, the row says so where it runs.
    let program_data = serde_json::from_str(&left.program_data).unwrap_or(RawValue::NULL);
    let body = Written {
        run_id: announcement.run_id.as_str(),
        jobs: &left.jobs,
        program_data,
    };
    // Texts can always be written.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Which program a message of this queue names; or why it names none.
pub(super) fn read(queue: &str, body: &[u8]) -> Result<Offer, String> {
    let Read { run_id, jobs } = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    if jobs.is_empty() {
        return Err("it names no job".to_owned());
    }
    Ok(Offer {
        run_id,
        queue: queue.to_owned(),
        jobs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_program_executor_reads() {
        let announcement = Announcement {
            queue: "mail".into(),
            run_id: "17".into(),
            left: None,
        };
        let left = Left {
            jobs: vec!["a".into(), "b".into()],
            program_data: r#"{"customer":7}"#.into(),
        };
        let body = write(&announcement, &left);
        let text = std::str::from_utf8(&body).expect("text");
        assert_eq!(
            text,
            r#"{"runId":"17","jobs":["a","b"],"programData":{"customer":7}}"#
        );
        let offer = Offer {
            run_id: "17".to_owned(),
            queue: "mail".to_owned(),
            jobs: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(read("mail", &body), Ok(offer));
    }

    #[test]
    fn what_names_no_program_says_why() {
        for body in [
            &b""[..],
            b"{}",
            b"\xff",
            br#"{"runId":"1","jobs":[]}"#,
            br#"{"runId":"1","jobs":"a"}"#,
        ] {
            assert!(read("mail", body).is_err(), "{body:?}");
        }
        // program-executor leaves data away that is undefined.
        assert!(read("mail", br#"{"runId":"1","jobs":["a"]}"#).is_ok());
    }
}
