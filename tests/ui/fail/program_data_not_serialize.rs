use executor::prelude::*;

struct Campaign;

fn program() -> impl IntoProgram {
    Program::new(Campaign)
}

fn main() {}
