use executor::prelude::*;

#[job(derive(Clone, Deserialize, Default))]
async fn send_mail(to: Option<String>) -> Result<(), JobError> {
    println!("{to:?}");
    Ok(())
}

fn main() {}
