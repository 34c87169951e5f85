//! A job whose work another system does: it hands its program off, and goes on when that system
//! reports back.
//!
//! `cargo run --example hand_off`

use std::time::Duration;

use executor::{Event, HandOffToken, prelude::*};
use tokio::sync::mpsc;

/// A print shop somewhere else, which gets orders with the token to report by.
struct PrintShop(mpsc::UnboundedSender<String>);

#[job]
async fn order_print(ctx: Context, shop: State<PrintShop>, pages: u32) -> Result<u32, JobError> {
    println!("ordering {pages} pages");
    shop.0.send(ctx.hand_off_token().to_string())?;
    // The program now waits, without a slot and without a worker.
    Err(JobError::hand_off())
}

#[job]
async fn ship(printed: Output<OrderPrint>) -> Result<String, JobError> {
    Ok(format!("{} pages are on their way", *printed))
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let (orders, mut shop) = mpsc::unbounded_channel();
    let folder = std::env::temp_dir().join(format!("executor-hand-off-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let executor = executor::builder()
        .database_url(format!("sqlite:{}", folder.join("hand_off.db").display()))
        .state(PrintShop(orders))
        .connect()
        .await?;

    // The print shop reports by the token; it could be another program on another machine.
    let reporting = executor.clone();
    tokio::spawn(async move {
        while let Some(token) = shop.recv().await {
            println!("the print shop works on {token}");
            let token: HandOffToken = token.parse()?;
            reporting.complete(&token, 12).await?;
        }
        Ok::<_, executor::Error>(())
    });

    let mut events = executor.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::StepDone { job, .. } = event {
                println!("done here: {job}");
            }
        }
    });

    // Without a report, the job would run again after an hour.
    let run_id = Program::new(())
        .then(OrderPrint { pages: 12 })
        .then(Ship)
        .retry_after(Duration::from_secs(3600))
        .create(&executor)
        .await?;
    for program in executor.work_until_ended([&run_id]).await? {
        println!(
            "{}: {}",
            program.state,
            program.output().unwrap_or(&"nothing".into())
        );
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
