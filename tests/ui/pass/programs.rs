//! The verbs that make a program, and what they leave the jobs to read.
#![deny(warnings)]

use std::time::Duration;

use executor::{DynProgram, prelude::*};

#[job]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

#[job]
async fn tidy(counted: Option<Output<Count>>) -> Result<(), JobError> {
    drop(counted);
    Ok(())
}

#[job]
async fn report(length: Output<Count>, data: ProgramData<u64>) -> Result<(), JobError> {
    println!("{} {}", *length, *data);
    Ok(())
}

#[job]
async fn compare(
    length: Output<Count>,
    before: Output<Report>,
    again: Option<Output<Tidy>>,
) -> Result<(), JobError> {
    drop((length, before, again));
    Ok(())
}

fn counted(text: &str) -> Count {
    Count {
        text: text.to_owned(),
    }
}

fn typed(loud: bool, texts: &[&str]) -> Program<u64, impl Sized> {
    Program::new(7)
        .then_if(loud, counted("perhaps"))
        .then(Tidy)
        .then(counted("once"))
        .then_again(counted("twice"))
        .then(Report)
        .then_each(texts.iter().map(|text| counted(text)))
        .then_again(Report)
        .then_if(loud, Report)
        .then(Compare)
}

fn in_a_branch(alone: bool) -> DynProgram {
    if alone {
        counted("alone").erase()
    } else {
        typed(true, &["a", "b"]).erase()
    }
}

fn generic<J: Job + IntoProgram>(job: J) -> DynProgram {
    job.queue("mail")
        .priority(-5)
        .unique("one")
        .run_after(Duration::from_secs(1))
        .erase()
}

fn main() {
    assert!(in_a_branch(true).check().is_ok());
    assert!(in_a_branch(false).check().is_ok());
    assert!(generic(counted("generic")).check().is_ok());
    let mut program = DynProgram::new(7);
    for text in ["a", "b"] {
        program = program.then(counted(text));
    }
    assert!(program.then(Report).check().is_ok());
}
