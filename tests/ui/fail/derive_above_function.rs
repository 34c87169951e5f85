use executor::prelude::*;

#[derive(Clone)]
#[job]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

fn main() {}
