use executor::prelude::*;

#[job(name = "mail")]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

#[job(name = "send_letter")]
async fn send__mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
