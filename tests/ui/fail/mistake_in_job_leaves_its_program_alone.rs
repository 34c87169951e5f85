use executor::prelude::*;

#[job(timeout = "soon")]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

#[job]
fn report(length: Output<Count>) -> Result<(), JobError> {
    println!("{}", *length);
    Ok(())
}

fn program() -> impl IntoProgram {
    Program::new(())
        .then(Count {
            text: "a".to_owned(),
        })
        .then(Report)
}

fn main() {}
