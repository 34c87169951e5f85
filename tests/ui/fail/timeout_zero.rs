use executor::prelude::*;

#[job(timeout = "0s")]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
