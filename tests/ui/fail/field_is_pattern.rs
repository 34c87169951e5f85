use executor::prelude::*;

#[job]
async fn send_mail((to, cc): (String, String), _: u8) -> Result<(), JobError> {
    println!("{to} {cc}");
    Ok(())
}

fn main() {}
