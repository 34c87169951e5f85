use executor::prelude::*;

#[program]
fn campaign(customer_id: u64) {
    println!("{customer_id}");
}

fn main() {}
