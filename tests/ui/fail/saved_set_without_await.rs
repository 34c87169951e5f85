#![deny(unused_must_use)]

use executor::prelude::*;

#[job]
async fn send_mail(mut page: Saved<u32>) -> Result<(), JobError> {
    page.set(1);
    Ok(())
}

fn main() {}
