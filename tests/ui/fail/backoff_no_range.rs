use executor::prelude::*;

#[job(retry(backoff = "1s-5m"))]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
