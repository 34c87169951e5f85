#[derive(Debug, JobError)]
enum MailError {
    #[job_error(retry)]
    Timeout,
    #[job_error(retry_after = "5m")]
    Throttled { by: String },
    #[job_error(ignore)]
    Unsubscribed(String),
    #[job_error(snooze = "1h")]
    Closed,
    Malformed,
}

#[derive(Debug, JobError)]
#[job_error(retry)]
#[job_error(crate = "jobs")]
enum NetworkError {
    Reset,
    #[job_error(fatal)]
    Refused,
}
