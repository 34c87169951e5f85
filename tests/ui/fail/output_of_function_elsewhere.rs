use executor::prelude::*;

mod counting {
    use executor::prelude::*;

    #[job]
    pub(crate) async fn count(text: String) -> Result<usize, JobError> {
        Ok(text.len())
    }
}

#[job]
async fn report(length: Option<Output<counting::count>>) -> Result<(), JobError> {
    println!("{:?}", length.is_some());
    Ok(())
}

fn main() {}
