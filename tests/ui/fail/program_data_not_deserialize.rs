use executor::prelude::*;

#[derive(Serialize)]
struct Campaign {
    customer_id: u64,
}

#[job]
async fn greet(campaign: ProgramData<Campaign>) -> Result<(), JobError> {
    println!("{}", campaign.customer_id);
    Ok(())
}

fn main() {}
