use executor::prelude::*;

struct Mailer;

impl Mailer {
    #[job]
    async fn send_mail(to: String) -> Result<(), JobError> {
        println!("{to}");
        Ok(())
    }
}

fn main() {}
