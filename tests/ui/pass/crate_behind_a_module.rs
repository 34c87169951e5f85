//! The crate may be reached by another path, as where a crate of one's own re-exports it.
#![deny(warnings)]

mod facade {
    pub(crate) mod jobs {
        pub(crate) use executor::*;
    }
}

use facade::jobs::{Job, JobError, Output, Program, ProgramData, ProgramExt, Saved, State};

#[facade::jobs::job(crate = "crate::facade::jobs")]
async fn count(text: String, page: Saved<u32>, store: State<u8>) -> Result<usize, JobError> {
    drop((page, store));
    Ok(text.len())
}

#[facade::jobs::job(blocking, crate = "crate::facade::jobs")]
fn report(length: Output<Count>, data: ProgramData<u8>) -> Result<(), JobError> {
    println!("{} {}", *length, *data);
    Ok(())
}

#[facade::jobs::job(crate = "crate::facade::jobs")]
async fn ping() -> Result<(), JobError> {
    Err(MailError::Timeout)?
}

#[facade::jobs::program(crate = "crate::facade::jobs")]
async fn campaign(
    text: String,
    limit: Option<u32>,
    dry_run: bool,
) -> impl facade::jobs::IntoProgram {
    let _ = (limit, dry_run);
    Program::new(7).then(Count::new(text)).then(Report)
}

#[derive(Debug, facade::jobs::JobError)]
#[job_error(crate = "crate::facade::jobs")]
enum MailError {
    #[job_error(retry)]
    Timeout,
}

impl std::fmt::Display for MailError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server did not answer")
    }
}

impl std::error::Error for MailError {}

fn main() {
    assert_eq!(Ping::NAME, "ping");
    let _ = Ping.queue("pings");
}
