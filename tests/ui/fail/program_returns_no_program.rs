use executor::prelude::*;

#[program]
fn campaign(customer_id: u64) -> u64 {
    customer_id
}

fn main() {}
