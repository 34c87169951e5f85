use executor::prelude::*;

#[job(retry(maximum = 8, back_off = "1s"))]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
