use executor::prelude::*;

#[job]
async fn book(tx: Tx<Pg>, amount: u64) -> Result<(), JobError> {
    drop((tx, amount));
    Ok(())
}

fn main() {}
