use executor::prelude::*;

#[job(name: "send_mail")]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
