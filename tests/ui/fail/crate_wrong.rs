use executor::prelude::*;

#[job(crate = "my_executor")]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
