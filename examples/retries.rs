//! What a job's errors do: retried with back-off, fatal, ignored, or put off.
//!
//! `cargo run --example retries`

use std::time::Duration;

use executor::{Event, prelude::*};

/// The errors of a mail server, each with its class: plain `?` then does the right thing.
#[derive(Debug, JobError)]
enum MailError {
    /// Tried again after the job's back-off.
    #[job_error(retry)]
    Busy,
    /// Ends the program as errored, without an alert.
    #[job_error(ignore)]
    Unsubscribed,
    /// Ends the program as errored (so does every error without a class).
    NoSuchAddress,
}

impl std::fmt::Display for MailError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Busy => "the mail server is busy",
            Self::Unsubscribed => "the customer has unsubscribed",
            Self::NoSuchAddress => "there is no such address",
        })
    }
}

impl std::error::Error for MailError {}

/// A mail server that is busy at first.
fn deliver(address: &str, attempt: u32) -> Result<(), MailError> {
    match address {
        "nobody" => Err(MailError::NoSuchAddress),
        "leaver" => Err(MailError::Unsubscribed),
        _ if attempt < 3 => Err(MailError::Busy),
        _ => Ok(()),
    }
}

#[job(retry(max = 5, backoff = "100ms..1s"), timeout = "10s")]
async fn send_mail(ctx: Context, address: String) -> Result<(), JobError> {
    deliver(&address, ctx.attempt())?;
    Ok(())
}

/// The place can choose, too: any error can be made retryable, ignorable or fatal where it occurs.
#[job(retry(max = 1, backoff = "100ms"))]
async fn read_report(path: String) -> Result<usize, JobError> {
    let text = std::fs::read_to_string(path).or_retry()?;
    Ok(text.len())
}

/// Not before it is time: the job comes back after a while, and no retry is counted.
#[job]
async fn wait_for_opening(mut asked: Saved<u32>) -> Result<(), JobError> {
    if *asked < 2 {
        asked.set(*asked + 1).await?;
        return Err(JobError::snooze(Duration::from_millis(200)));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let folder = std::env::temp_dir().join(format!("executor-retries-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let executor = executor::builder()
        .database_url(format!("sqlite:{}", folder.join("retries.db").display()))
        .on_program_error(|event| {
            if let Event::Errored { job, error, .. } = event {
                println!("alert: {job}: {error}");
            }
        })
        .connect()
        .await?;

    let mut runs = Vec::new();
    for address in ["ada", "nobody", "leaver"] {
        runs.push(
            SendMail {
                address: address.to_owned(),
            }
            .create(&executor)
            .await?,
        );
    }
    runs.push(
        ReadReport {
            path: "no/such/file".to_owned(),
        }
        .create(&executor)
        .await?,
    );
    runs.push(WaitForOpening::default().create(&executor).await?);

    for program in executor.work_until_ended(&runs).await? {
        println!(
            "{:<18} {:<9} after {} failed attempts {}",
            program.jobs[0],
            program.state,
            program.errors.len(),
            program.error_message.unwrap_or_default(),
        );
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
