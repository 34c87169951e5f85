use executor::prelude::*;

#[job]
async fn send_mail(to: Vec<&'static str>, cc: Option<(u8, &str)>) -> Result<(), JobError> {
    println!("{to:?} {cc:?}");
    Ok(())
}

fn main() {}
