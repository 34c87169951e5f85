use executor::prelude::*;

#[job]
async fn send_mail(
    mailer: Option<State<String>>,
    page: Option<Saved<u32>>,
) -> Result<(), JobError> {
    drop((mailer, page));
    Ok(())
}

fn main() {}
