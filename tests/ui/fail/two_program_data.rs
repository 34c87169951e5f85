use executor::prelude::*;

#[job]
async fn send_mail(
    customer: ProgramData<u64>,
    segment: ProgramData<String>,
) -> Result<(), JobError> {
    println!("{} {}", *customer, *segment);
    Ok(())
}

fn main() {}
