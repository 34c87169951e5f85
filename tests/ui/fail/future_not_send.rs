use std::rc::Rc;

use executor::prelude::*;

#[job]
async fn send_mail(to: String) -> Result<(), JobError> {
    let shared = Rc::new(to);
    deliver(&shared).await;
    println!("{shared}");
    Ok(())
}

async fn deliver(_: &str) {}

fn main() {}
