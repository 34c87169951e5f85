#[derive(Debug, JobError)]
#[job_error(retry_after = "30s")]
struct Throttled(String);
#[automatically_derived]
impl ::executor::__private::Classified for Throttled {
    fn verdict(&self) -> ::executor::__private::Verdict {
        match *self {
            Throttled { .. } => ::executor::__private::Verdict::RetryAfterMs(30000u64),
        }
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::ErrorClass::of:: < Throttled > ()
}
#[derive(Debug, JobError)]
struct Broken;
#[automatically_derived]
impl ::executor::__private::Classified for Broken {
    fn verdict(&self) -> ::executor::__private::Verdict {
        match *self {
            Broken { .. } => ::executor::__private::Verdict::Fatal,
        }
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::ErrorClass::of:: < Broken > ()
}
