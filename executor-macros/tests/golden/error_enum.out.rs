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
#[automatically_derived]
impl ::executor::__private::Classified for MailError {
    fn verdict(&self) -> ::executor::__private::Verdict {
        match *self {
            MailError::Timeout { .. } => ::executor::__private::Verdict::Retry,
            MailError::Throttled { .. } => {
                ::executor::__private::Verdict::RetryAfterMs(300000u64)
            }
            MailError::Unsubscribed { .. } => ::executor::__private::Verdict::Ignore,
            MailError::Closed { .. } => {
                ::executor::__private::Verdict::SnoozeMs(3600000u64)
            }
            MailError::Malformed { .. } => ::executor::__private::Verdict::Fatal,
        }
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::ErrorClass::of:: < MailError > ()
}
#[derive(Debug, JobError)]
#[job_error(retry)]
#[job_error(crate = "jobs")]
enum NetworkError {
    Reset,
    #[job_error(fatal)]
    Refused,
}
#[automatically_derived]
impl jobs::__private::Classified for NetworkError {
    fn verdict(&self) -> jobs::__private::Verdict {
        match *self {
            NetworkError::Reset { .. } => jobs::__private::Verdict::Retry,
            NetworkError::Refused { .. } => jobs::__private::Verdict::Fatal,
        }
    }
}
jobs::__private::inventory::submit! {
    jobs::__private::ErrorClass::of:: < NetworkError > ()
}
