#[derive(Debug, JobError)]
#[job_error(retry_after = "30s")]
struct Throttled(String);

#[derive(Debug, JobError)]
struct Broken;
