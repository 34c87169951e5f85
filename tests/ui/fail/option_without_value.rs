use executor::prelude::*;

#[job(timeout =)]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
