use executor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Saved<T>(T);

#[job]
async fn send_mail(saved: Saved<u32>) -> Result<(), JobError> {
    println!("{}", saved.0);
    Ok(())
}

fn main() {}
