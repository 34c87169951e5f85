use executor::prelude::*;

#[job]
async fn greet(customer: ProgramData<u64>) -> Result<(), JobError> {
    println!("{}", *customer);
    Ok(())
}

async fn start(executor: Executor) -> executor::Result<()> {
    executor.create(Greet).await?;
    Ok(())
}

fn main() {}
