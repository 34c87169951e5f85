use executor::prelude::*;

#[job]
async fn book(one: Tx<String>, two: Tx<String>) -> Result<(), JobError> {
    drop((one, two));
    Ok(())
}

fn main() {}
