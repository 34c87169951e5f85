use executor::prelude::*;

#[job]
async fn send_mail(to: String, subject: String) -> Result<(), JobError> {
    println!("{to} {subject}");
    Ok(())
}

fn program() -> impl IntoProgram {
    Program::new(()).then(SendMail {
        to: "ada@example.org".to_owned(),
    })
}

fn main() {}
