//! What runs at once, and how often something starts, over all workers of a store.
//!
//! `cargo run --example limits` makes 24 programs and works until they are through: what a customer's
//! address allows, and what the mail server does.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use executor::{RunId, prelude::*};

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static STARTS: Mutex<Vec<Instant>> = Mutex::new(Vec::new());

/// One at a time for each customer, whatever the number of workers. `limit_key` names a field of the
/// job's data, or else of the program's.
#[job(concurrency_global = 1, limit_key = "customer_id")]
async fn prepare(customer_id: u32) -> Result<u32, JobError> {
    let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
    MOST.fetch_max(running, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    Ok(customer_id)
}

/// No more than twenty a second over all workers, and no more than two at one moment. Those that wait
/// take no slot.
#[job(rate = "20/s", burst = 2)]
async fn deliver(customer: Output<Prepare>) -> Result<(), JobError> {
    let _ = *customer;
    // The lock is held for a push alone, which can't panic.
    STARTS.lock().expect("not poisoned").push(Instant::now());
    Ok(())
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let executor = executor::builder()
        .database_url("sqlite:limits.db")
        .connect()
        .await?;
    let programs = (0..24).map(|number| {
        Program::new(())
            .then(Prepare {
                customer_id: number % 4,
            })
            .then(Deliver {})
    });
    let created = executor.create_many(programs).await?;
    let run_ids: Vec<RunId> = created
        .into_iter()
        .map(|created| Ok(created?.run_id))
        .collect::<executor::Result<_>>()?;
    executor.work_until_ended(&run_ids).await?;
    let starts = STARTS.lock().expect("not poisoned");
    let took = starts[starts.len() - 1] - starts[0];
    println!(
        "24 mails of 4 customers: at most {} prepared at once, delivered within {:.1} s",
        MOST.load(Ordering::SeqCst),
        took.as_secs_f64(),
    );
    Ok(())
}
