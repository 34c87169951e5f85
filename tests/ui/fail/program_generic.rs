use executor::prelude::*;

#[program]
fn campaign<T: Serialize>(data: T) -> impl IntoProgram {
    Program::new(data)
}

fn main() {}
