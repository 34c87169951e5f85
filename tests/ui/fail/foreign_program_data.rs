use executor::prelude::*;

#[derive(Serialize, Deserialize)]
struct ProgramData(u8);

#[job]
async fn send_mail(data: ProgramData) -> Result<(), JobError> {
    println!("{}", data.0);
    Ok(())
}

fn main() {}
