use executor::prelude::*;

#[program(timeout = "10m")]
fn campaign() -> impl IntoProgram {
    Program::new(())
}

fn main() {}
