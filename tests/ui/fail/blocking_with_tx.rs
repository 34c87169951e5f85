use executor::prelude::*;

#[job(blocking)]
fn book(tx: Tx<String>) -> Result<(), JobError> {
    drop(tx);
    Ok(())
}

fn main() {}
