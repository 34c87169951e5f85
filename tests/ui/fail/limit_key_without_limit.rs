use executor::prelude::*;

#[job(limit_key = "customer")]
async fn ping(customer: u64) -> Result<(), JobError> {
    let _ = customer;
    Ok(())
}

fn main() {
    let _ = Ping { customer: 1 };
}
