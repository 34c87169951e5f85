use std::borrow::Cow;

use executor::prelude::*;

#[derive(Serialize, Deserialize)]
struct Mail<'a> {
    to: Cow<'a, str>,
}

#[job]
async fn send_mail(mail: Mail<'_>) -> Result<(), JobError> {
    println!("{}", mail.to);
    Ok(())
}

fn main() {}
