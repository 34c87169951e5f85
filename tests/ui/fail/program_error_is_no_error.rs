use executor::prelude::*;

struct Refused;

#[program]
fn campaign(customer_id: u64) -> Result<impl IntoProgram, Refused> {
    if customer_id == 0 {
        Err(Refused)
    } else {
        Ok(Program::new(customer_id))
    }
}

fn main() {}
