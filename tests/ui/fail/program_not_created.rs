#![deny(unused_must_use)]

use executor::prelude::*;

#[job]
async fn greet(name: String) -> Result<(), JobError> {
    println!("{name}");
    Ok(())
}

fn start() {
    Program::new(()).then(Greet {
        name: "Ada".to_owned(),
    });
    Greet {
        name: "Grace".to_owned(),
    }
    .queue("mail");
}

fn main() {}
