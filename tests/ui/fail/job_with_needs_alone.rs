use executor::prelude::*;

#[job]
async fn count(text: String) -> Result<usize, JobError> {
    Ok(text.len())
}

#[job]
async fn report(length: Output<Count>) -> Result<(), JobError> {
    println!("{}", *length);
    Ok(())
}

async fn start(executor: Executor) -> executor::Result<()> {
    Report.create(&executor).await?;
    Ok(())
}

fn main() {}
