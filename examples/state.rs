//! What the application shares with its jobs: pools, clients, settings.
//!
//! `cargo run --example state -- start welcome --customer 7` creates a program, and
//! `cargo run --example state` works on what is there.

use std::sync::atomic::{AtomicU64, Ordering};

use executor::prelude::*;

/// One value of each type, made by `main`, shared by all jobs.
struct Mailer {
    from: String,
    sent: AtomicU64,
}

impl Mailer {
    async fn send(&self, to: u64) -> Result<u64, std::io::Error> {
        println!("{} writes to customer {to}", self.from);
        Ok(self.sent.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A worker whose `main` provides no `Mailer` stops at its start and says so.
#[job]
async fn write_welcome(mailer: State<Mailer>, customer: u64) -> Result<u64, JobError> {
    mailer.send(customer).await.or_retry()
}

/// Welcomes a customer.
#[program(name = "welcome")]
fn welcome(
    /// The customer's number.
    customer: u64,
) -> impl IntoProgram {
    WriteWelcome { customer }
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    executor::builder()
        .database_url("sqlite:state.db")
        .state(Mailer {
            from: "hello@example.com".to_owned(),
            sent: AtomicU64::new(0),
        })
        .run()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    // A job is a plain function: a test calls it with what it needs.
    #[tokio::test]
    async fn a_job_is_tested_as_a_function() {
        let mailer = State::new(Mailer {
            from: "test".to_owned(),
            sent: AtomicU64::new(41),
        });
        assert_eq!(write_welcome(mailer, 7).await.ok(), Some(42));
    }
}
