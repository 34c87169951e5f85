use executor::prelude::*;

#[derive(Default)]
struct Page(u32);

#[job]
async fn send_mail(page: Saved<Page>) -> Result<(), JobError> {
    println!("{}", page.0);
    Ok(())
}

fn main() {}
