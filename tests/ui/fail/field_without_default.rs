use executor::prelude::*;

#[derive(Serialize, Deserialize)]
struct Address(String);

#[job]
async fn send_mail(#[serde(default)] to: Address) -> Result<(), JobError> {
    println!("{}", to.0);
    Ok(())
}

fn main() {}
