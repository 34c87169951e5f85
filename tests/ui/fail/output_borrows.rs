use executor::prelude::*;

#[job]
async fn count(text: String) -> Result<&'static str, JobError> {
    Ok(if text.is_empty() { "none" } else { "some" })
}

fn main() {}
