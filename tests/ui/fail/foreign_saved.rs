use executor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Saved(u8);

#[job]
async fn send_mail(saved: Saved) -> Result<(), JobError> {
    println!("{}", saved.0);
    Ok(())
}

fn main() {}
