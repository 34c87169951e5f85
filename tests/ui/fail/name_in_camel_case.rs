use executor::prelude::*;

#[allow(non_snake_case)]
#[job]
async fn SendMail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
