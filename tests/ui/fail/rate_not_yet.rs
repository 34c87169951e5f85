use executor::prelude::*;

#[job(rate = "100/min", concurrency_global = 4, limit_key = "customer_id")]
async fn send_mail(customer_id: u64) -> Result<(), JobError> {
    println!("{customer_id}");
    Ok(())
}

fn main() {}
