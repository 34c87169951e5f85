use executor::prelude::*;

#[job]
const unsafe extern "C" fn ping() -> Result<(), JobError> {
    Ok(())
}

fn main() {}
