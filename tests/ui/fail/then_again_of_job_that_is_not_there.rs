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

fn program() -> impl IntoProgram {
    Program::new(())
        .then(Log {
            text: "a".to_owned(),
        })
        .then_again(Count {
            text: "b".to_owned(),
        })
}

fn main() {}
