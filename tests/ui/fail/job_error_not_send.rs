use std::error::Error;

use executor::prelude::*;

#[job]
async fn send_mail(to: String) -> Result<(), Box<dyn Error>> {
    println!("{to}");
    Ok(())
}

fn main() {}
