use executor::prelude::*;

#[job]
struct SendMail {
    to: String,
}

fn main() {}
