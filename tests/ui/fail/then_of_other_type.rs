use executor::prelude::*;

fn program() -> impl IntoProgram {
    Program::new(()).then("count")
}

fn main() {}
