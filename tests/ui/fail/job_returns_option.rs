use executor::prelude::*;

#[job]
async fn count(text: String) -> Option<usize> {
    Some(text.len())
}

fn main() {}
