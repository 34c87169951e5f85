use executor::prelude::*;

#[derive(Serialize, Deserialize)]
struct Output(u8);

#[job]
async fn send_mail(output: Output) -> Result<(), JobError> {
    println!("{}", output.0);
    Ok(())
}

fn main() {}
