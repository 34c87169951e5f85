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

fn program(long: bool) -> impl IntoProgram {
    Program::new(())
        .then_if(
            long,
            Count {
                text: "to be counted".to_owned(),
            },
        )
        .then(Report)
}

fn main() {}
