use std::sync::Mutex;

use executor::prelude::*;

#[job]
async fn count(counter: State<Mutex<u32>>) -> Result<(), JobError> {
    let mut counter = counter.lock().expect("not poisoned");
    tick().await;
    *counter += 1;
    Ok(())
}

async fn tick() {}

fn main() {}
