use executor::prelude::*;

#[job]
async fn send_mail(first: Context, second: Context) -> Result<(), JobError> {
    drop((first, second));
    Ok(())
}

fn main() {}
