use executor::prelude::*;

#[job]
async fn ping() -> Result<(), JobError> {
    Ok(())
}

#[program(schedule = "0 25 * * *", timezone = "Europe/Roma", catch_up = "some")]
fn campaign() -> impl IntoProgram {
    Ping
}

fn main() {}
