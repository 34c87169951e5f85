use executor::prelude::*;

#[job]
async fn send_mail(#[serde(defualt)] to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
