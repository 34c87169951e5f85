use executor::prelude::*;

#[derive(Debug)]
enum MailError {
    Malformed,
}

#[job]
async fn send_mail(to: String) -> Result<(), MailError> {
    if to.is_empty() {
        Err(MailError::Malformed)
    } else {
        Ok(())
    }
}

fn main() {}
