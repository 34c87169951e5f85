use executor::prelude::*;

#[derive(Debug)]
enum MailError {
    Malformed,
}

fn deliver(to: &str) -> Result<(), MailError> {
    if to.is_empty() {
        Err(MailError::Malformed)
    } else {
        Ok(())
    }
}

#[job]
async fn send_mail(to: String) -> Result<(), JobError> {
    deliver(&to)?;
    Ok(())
}

fn main() {}
