use executor::prelude::*;

#[job]
async fn send_mail(to: &str, attachment: &[u8], mailer: &State<String>) -> Result<(), JobError> {
    println!("{to} {attachment:?} {}", **mailer);
    Ok(())
}

fn main() {}
