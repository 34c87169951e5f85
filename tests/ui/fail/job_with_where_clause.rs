use executor::prelude::*;

#[job]
async fn send_mail(to: String) -> Result<(), JobError>
where
    String: Send,
{
    println!("{to}");
    Ok(())
}

fn main() {}
