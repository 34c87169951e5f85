use executor::prelude::*;

#[job]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

#[job]
async fn log(text: String) -> Result<(), JobError> {
    println!("{text}");
    Ok(())
}

#[job]
async fn report(length: Output<Count>) -> Result<(), JobError> {
    println!("{}", *length);
    Ok(())
}

fn program() -> impl IntoProgram {
    Program::new(())
        .then(Log {
            text: "a".to_owned(),
        })
        .then(Report)
        .queue("reports")
}

fn main() {}
