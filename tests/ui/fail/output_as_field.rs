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
    Program::new(())
        .then(Count {
            text: "a".to_owned(),
        })
        .then(Report { length: 3 })
}

fn main() {}
