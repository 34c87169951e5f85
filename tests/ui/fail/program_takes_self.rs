use executor::prelude::*;

struct Campaigns;

impl Campaigns {
    #[program]
    fn campaign(&self, customer_id: u64) -> impl IntoProgram {
        Program::new(customer_id)
    }
}

fn main() {}
