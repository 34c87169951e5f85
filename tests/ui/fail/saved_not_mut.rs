use executor::prelude::*;

#[job]
async fn send_mail(page: Saved<u32>) -> Result<(), JobError> {
    page.set(1).await
}

fn main() {}
