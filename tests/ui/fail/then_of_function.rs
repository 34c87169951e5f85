use executor::prelude::*;

#[job]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

fn program() -> impl IntoProgram {
    Program::new(()).then(count("to be counted".to_owned()))
}

fn main() {}
