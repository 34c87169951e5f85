use executor::prelude::*;

#[job(retry(max = "8"))]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
