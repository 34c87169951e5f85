use executor::prelude::*;

#[job]
async fn report(length: Output<usize>) -> Result<(), JobError> {
    println!("{}", *length);
    Ok(())
}

fn main() {}
