use executor::prelude::*;

#[job(rate = "a hundred a minute")]
async fn ping() -> Result<(), JobError> {
    Ok(())
}

fn main() {
    let _ = Ping;
}
