use executor::prelude::*;

#[derive(Debug, JobError)]
enum MailError {
    #[job_error(retry)]
    Timeout,
}

fn main() {}
