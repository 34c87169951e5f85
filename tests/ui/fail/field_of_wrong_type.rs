use executor::prelude::*;

#[job]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn program() -> impl IntoProgram {
    Program::new(()).then(SendMail {
        to: "ada@example.org",
    })
}

fn main() {}
