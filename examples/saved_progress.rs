//! Progress that survives a crash: kill this program at any moment, start it again, and it goes on
//! from the last line that it had imported.
//!
//! `cargo run --example saved_progress`

use std::time::Duration;

use executor::prelude::*;

/// Imports a file line by line.
#[job]
async fn import_lines(ctx: Context, lines: u32, mut next: Saved<u32>) -> Result<u32, JobError> {
    println!("attempt {} starts at line {}", ctx.attempt(), *next);
    while *next < lines {
        // The work on one line, and then its progress: durable before the next line begins.
        tokio::time::sleep(Duration::from_millis(50)).await;
        next.set(*next + 1).await?;
        // Once a second, let other programs have the slot. This counts as no retry.
        ctx.checkpoint(Duration::from_secs(1))?;
    }
    Ok(lines)
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let executor = executor::builder()
        .database_url("sqlite:saved_progress.db")
        .connect()
        .await?;
    // With the key, a second start finds the unfinished program and creates no other.
    let created = executor
        .create(ImportLines::new(60).unique("import"))
        .await?;
    println!(
        "{} {}",
        if created.existed {
            "going on with"
        } else {
            "starting"
        },
        created.run_id
    );
    for program in executor.work_until_ended([&created.run_id]).await? {
        println!("{}: {:?} lines", program.state, program.output());
    }
    Ok(())
}
