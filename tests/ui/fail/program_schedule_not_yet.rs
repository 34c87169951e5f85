use executor::prelude::*;

#[program(schedule = "0 8 * * *", timezone = "Europe/Rome")]
fn campaign() -> impl IntoProgram {
    Program::new(())
}

fn main() {}
