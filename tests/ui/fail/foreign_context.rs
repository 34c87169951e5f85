use executor::prelude::*;

#[derive(Serialize, Deserialize)]
struct Context(u8);

#[job]
async fn send_mail(context: Context) -> Result<(), JobError> {
    println!("{}", context.0);
    Ok(())
}

fn main() {}
