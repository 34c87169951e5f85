use executor::prelude::*;

#[job]
async fn send_mail<T: Serialize>(what: T) -> Result<(), JobError> {
    drop(what);
    Ok(())
}

fn main() {}
