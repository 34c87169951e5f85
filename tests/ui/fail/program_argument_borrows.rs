use executor::prelude::*;

#[program]
fn campaign(segment: &str) -> impl IntoProgram {
    Program::new(segment.to_owned())
}

fn main() {}
