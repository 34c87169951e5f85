use executor::prelude::*;

struct Address(String);

#[job]
async fn send_mail(to: Address) -> Result<(), JobError> {
    println!("{}", to.0);
    Ok(())
}

fn main() {}
