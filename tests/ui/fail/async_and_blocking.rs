use executor::prelude::*;

#[job(blocking)]
async fn resize(image: Vec<u8>) -> Result<(), JobError> {
    drop(image);
    Ok(())
}

fn main() {}
