use executor::prelude::*;

#[job]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

#[job]
async fn report(length: Output<Count>) -> Result<(), JobError> {
    println!("{}", *length);
    Ok(())
}

fn program() -> impl IntoProgram {
    Program::new(()).then(Report).then(Count {
        text: "to be counted".to_owned(),
    })
}

fn main() {}
