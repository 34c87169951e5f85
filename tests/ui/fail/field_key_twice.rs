use executor::prelude::*;

#[job]
async fn send_mail(to: String, #[serde(rename = "to")] cc: String) -> Result<(), JobError> {
    println!("{to} {cc}");
    Ok(())
}

fn main() {}
