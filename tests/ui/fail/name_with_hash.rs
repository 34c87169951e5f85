use executor::prelude::*;

#[job(name = "send#2")]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
