use executor::prelude::*;

#[job]
async fn send_mail(to: impl Into<String>) -> Result<(), JobError> {
    println!("{}", to.into());
    Ok(())
}

fn main() {}
