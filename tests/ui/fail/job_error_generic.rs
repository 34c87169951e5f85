use executor::prelude::*;

#[derive(Debug, JobError)]
enum MailError<T> {
    Malformed(T),
}

fn main() {}
