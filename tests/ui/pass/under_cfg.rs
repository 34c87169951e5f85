//! All that belongs to a job comes and goes with its function.
#![deny(warnings)]

use executor::prelude::*;

#[cfg(all())]
#[job]
async fn here(text: String, page: Saved<u32>) -> Result<usize, JobError> {
    Ok(text.len() + *page as usize)
}

#[job]
#[cfg(any())]
async fn nowhere(text: NoSuchType) -> Result<NoSuchType, NoSuchError> {
    Ok(text)
}

#[job]
#[cfg(any())]
async fn nowhere_either(
    data: ProgramData<NoSuchType>,
    output: Output<NoSuchJob>,
) -> Result<(), JobError> {
    drop((data, output));
}

#[cfg_attr(all(), job)]
#[deprecated = "use `here`"]
#[allow(deprecated)]
async fn there() -> Result<(), JobError> {
    Ok(())
}

#[program]
#[cfg(any())]
fn no_program() -> NoSuchProgram {}

#[expect(clippy::unused_async, reason = "an `expect` is fulfilled once")]
#[expect(unused_variables)]
#[job]
async fn silenced(unused: u8) -> Result<(), JobError> {
    Ok(())
}

fn main() {
    let program = Program::new(())
        .then(Here::new(String::new()))
        .then(There)
        .then(Silenced::new(1));
    assert!(program.erase().check().is_ok());
}
