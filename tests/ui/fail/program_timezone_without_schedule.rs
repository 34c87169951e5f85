use executor::prelude::*;

#[job]
async fn ping() -> Result<(), JobError> {
    Ok(())
}

#[program(timezone = "Europe/Rome", catch_up = "all")]
fn campaign() -> impl IntoProgram {
    Ping
}

fn main() {}
