use executor::prelude::*;

#[derive(Serialize, Deserialize)]
struct Campaign {
    customer_id: u64,
}

#[job]
async fn greet(campaign: ProgramData<Campaign>) -> Result<(), JobError> {
    println!("{}", campaign.customer_id);
    Ok(())
}

fn program() -> impl IntoProgram {
    Program::new("a customer").then(Greet)
}

fn main() {}
