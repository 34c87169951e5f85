use executor::prelude::*;

#[job(concurrency = 0)]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
