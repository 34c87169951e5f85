use executor::prelude::*;

#[job(name = "mail" timeout = "10m")]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
