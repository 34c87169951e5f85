use executor::prelude::{JobError, job};

/// A type of the application that has our type's name.
pub struct Tx<T>(T);

#[job]
async fn book(tx: Tx<u64>, amount: u64) -> Result<(), JobError> {
    drop((tx, amount));
    Ok(())
}

fn main() {}
