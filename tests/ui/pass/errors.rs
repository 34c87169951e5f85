//! `#[derive(JobError)]`, and the errors that jobs may return.
#![deny(warnings)]

use std::{fmt, io, time::Duration};

use executor::prelude::*;

#[derive(Debug, JobError)]
#[job_error(ignore)]
enum MailError {
    #[job_error(retry)]
    Timeout,
    #[job_error(retry_after = "5m")]
    Throttled {
        by: String,
    },
    #[job_error(snooze = "1h")]
    Closed(u8),
    #[job_error(fatal)]
    Malformed,
    Unsubscribed,
}

#[derive(Debug, JobError)]
struct Broken(#[allow(dead_code)] io::Error);

#[derive(Debug, JobError)]
#[job_error(retry)]
enum Never {}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttled { by } => write!(f, "throttled by {by}"),
            Self::Closed(hours) => write!(f, "closed for {hours} hours"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for MailError {}
impl std::error::Error for Broken {}
impl std::error::Error for Never {}

fn deliver(to: &str) -> Result<(), MailError> {
    Err(match to.len() {
        0 => MailError::Malformed,
        1 => MailError::Throttled { by: to.to_owned() },
        2 => MailError::Closed(2),
        3 => MailError::Timeout,
        _ => MailError::Unsubscribed,
    })
}

#[job]
async fn send_mail(to: String) -> Result<(), JobError> {
    deliver(&to)?;
    deliver(&to).or_retry()?;
    deliver(&to).or_retry_after(Duration::from_secs(1))?;
    Err("a text").or_ignore()?;
    Err(io::Error::other("an error"))?
}

#[job]
async fn own(to: String) -> Result<(), MailError> {
    deliver(&to)
}

#[job]
async fn text(to: String) -> Result<(), String> {
    deliver(&to).map_err(|error| error.to_string())
}

#[job]
async fn boxed(to: String) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(deliver(&to)?)
}

#[job(blocking)]
fn never_ever(to: String) -> Result<(), Never> {
    drop((to, Broken(io::Error::other("it"))));
    Ok(())
}

fn main() {
    assert_eq!(Boxed::NAME, "boxed");
    let program = Program::new(())
        .then(SendMail::new(String::new()))
        .then(Own::new(String::new()));
    let program = program
        .then(Text::new(String::new()))
        .then(Boxed::new(String::new()));
    assert!(
        program
            .then(NeverEver::new(String::new()))
            .erase()
            .check()
            .is_ok()
    );
}
