use executor::prelude::*;

#[job(concurrency_global = 2, burst = 20)]
async fn ping() -> Result<(), JobError> {
    Ok(())
}

fn main() {
    let _ = Ping;
}
