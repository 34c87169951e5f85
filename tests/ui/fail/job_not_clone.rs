use executor::prelude::*;

#[job]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

fn is_clone(job: impl Clone) {
    drop(job);
}

fn once(job: Count) {
    is_clone(job);
}

fn main() {}
