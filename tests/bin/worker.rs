//! A worker process for the tests: set up by its environment, stopped by SIGTERM, killed, frozen.

#[path = "../jobs.rs"]
mod jobs;

use executor::prelude::*;
use jobs::Once;
use tokio::signal::unix::{SignalKind, signal};

/// What a schedule of the tests starts.
#[program]
fn tick() -> impl IntoProgram {
    Once
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut builder = executor::builder();
    if let Some(bytes) = std::env::var("TEST_MEMORY_BUDGET")
        .ok()
        .filter(|text| !text.is_empty())
    {
        builder = builder.memory_budget(bytes.parse()?);
    }
    if std::env::var_os("RUST_LOG").is_some() {
        // As applications do it, which log.
        return builder.run().await;
    }
    let executor = builder.connect().await?;
    let terminated = async {
        terminated.recv().await;
    };
    executor.work_until(terminated).await
}
