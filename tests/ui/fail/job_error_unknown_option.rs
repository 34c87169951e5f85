use executor::prelude::*;

#[derive(Debug, JobError)]
#[job_error(fatl)]
enum MailError {
    #[job_error(retries)]
    Timeout,
    #[job_error(retry_after)]
    Throttled,
    #[job_error(retry_after = "soon")]
    Busy,
    #[job_error(retry, ignore)]
    Unsubscribed,
    #[job_error]
    Malformed,
}

fn main() {}
