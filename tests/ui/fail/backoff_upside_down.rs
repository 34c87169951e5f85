use executor::prelude::*;

#[job(retry(backoff = "5m..1s"))]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
