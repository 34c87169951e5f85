use executor::prelude::*;

#[job]
async fn send_mail(to: String) {
    println!("{to}");
}

fn main() {}
