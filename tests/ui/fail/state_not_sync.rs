use std::cell::Cell;

use executor::prelude::*;

#[job]
async fn send_mail(sent: State<Cell<u32>>) -> Result<(), JobError> {
    sent.set(1);
    Ok(())
}

fn main() {}
