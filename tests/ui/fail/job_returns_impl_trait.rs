use executor::prelude::*;

#[job]
async fn count(text: String) -> Result<impl Serialize, JobError> {
    Ok(text.len())
}

fn main() {}
