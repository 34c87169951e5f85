use executor::prelude::*;

#[derive(Serialize, Deserialize)]
struct Address {
    to: String,
}

#[job]
async fn send_mail(
    #[serde(flatten)] address: Address,
    #[serde(skip)] cc: String,
) -> Result<(), JobError> {
    println!("{} {cc}", address.to);
    Ok(())
}

fn main() {}
