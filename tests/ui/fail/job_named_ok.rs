use executor::prelude::*;

#[job]
async fn ok() -> Result<(), JobError> {
    Ok(())
}

fn main() {}
