use executor::prelude::*;

#[program]
fn campaign(mailer: State<String>) -> impl IntoProgram {
    Program::new(mailer.len())
}

fn main() {}
