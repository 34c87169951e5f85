//! Aliases of `Result`, the user's own and executor's.
#![deny(warnings)]

use executor::prelude::*;

type Result<T> = std::result::Result<T, JobError>;

mod done {
    pub(crate) type Done = std::result::Result<(), std::num::ParseIntError>;
}

#[job]
async fn count(text: String) -> Result<usize> {
    Ok(text.parse()?)
}

#[job(blocking)]
fn parse(text: String) -> done::Done {
    text.parse::<u8>().map(drop)
}

#[job]
async fn connect(name: String) -> anyhow_like::Result<String> {
    Ok(name)
}

#[program]
fn counting(text: String) -> executor::Result<impl IntoProgram> {
    let length: usize = text.parse()?;
    Ok(Program::new(length).then(Count { text }))
}

/// Errors of one's own that `?` takes.
mod anyhow_like {
    pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> =
        std::result::Result<T, E>;
}

fn main() {
    let _: Result<()> = Ok(());
    let program = Program::new(())
        .then(Count::new(String::new()))
        .then(Parse::new(String::new()));
    assert!(
        program
            .then(Connect::new(String::new()))
            .erase()
            .check()
            .is_ok()
    );
    assert!(counting("seven".to_owned()).is_err());
}
