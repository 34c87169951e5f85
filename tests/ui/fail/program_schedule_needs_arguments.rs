use executor::prelude::*;

#[job]
async fn greet(name: String) -> Result<(), JobError> {
    println!("{name}");
    Ok(())
}

#[program(schedule = "0 8 * * *")]
fn greeting(name: String, again: bool) -> impl IntoProgram {
    Program::new(()).then(Greet { name }).then_if(again, Greet::new(String::new()))
}

fn main() {}
