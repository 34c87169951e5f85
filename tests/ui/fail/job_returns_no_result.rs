use executor::prelude::*;

#[job]
async fn count(text: String) -> usize {
    text.len()
}

fn main() {}
