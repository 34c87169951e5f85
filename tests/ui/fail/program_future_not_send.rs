use std::rc::Rc;

use executor::prelude::*;

#[program]
async fn campaign(customer_id: u64) -> impl IntoProgram {
    let shared = Rc::new(customer_id);
    look_up().await;
    Program::new(*shared)
}

async fn look_up() {}

fn main() {}
