use executor::prelude::*;

#[job(concurrency_global = 2, limit_key = "costumer")]
async fn ping(customer: u64) -> Result<(), JobError> {
    let _ = customer;
    Ok(())
}

fn main() {
    let _ = Ping { customer: 1 };
}
