use executor::prelude::*;

#[derive(Deserialize)]
struct Letters(usize);

#[job]
async fn count(text: String) -> Result<Letters, JobError> {
    Ok(Letters(text.len()))
}

fn main() {}
