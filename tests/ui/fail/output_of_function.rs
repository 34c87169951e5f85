use executor::prelude::*;

#[job]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

#[job]
async fn report(length: Output<count>) -> Result<(), JobError> {
    println!("{}", *length);
    Ok(())
}

fn main() {}
