use executor::prelude::*;

#[job]
async fn book(tx: Tx<String>, amount: u64) -> Result<(), JobError> {
    drop((tx, amount));
    Ok(())
}

fn main() {}
