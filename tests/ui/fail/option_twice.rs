use executor::prelude::*;

#[job(timeout = "10m", blocking, timeout = "20m")]
fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
