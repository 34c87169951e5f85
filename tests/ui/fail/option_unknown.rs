use executor::prelude::*;

#[job(tiemout = "10m", color = "red")]
async fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn program() -> impl IntoProgram {
    SendMail {
        to: "ada@example.org".to_owned(),
    }
}

fn main() {}
