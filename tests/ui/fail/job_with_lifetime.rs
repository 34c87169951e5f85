use executor::prelude::*;

#[job]
async fn send_mail<'a>(to: &'a str) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
