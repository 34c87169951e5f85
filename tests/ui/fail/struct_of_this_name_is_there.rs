use executor::prelude::*;

struct Count(usize);

#[job]
pub async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

fn main() {}
