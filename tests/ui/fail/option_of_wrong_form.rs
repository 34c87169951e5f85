use executor::prelude::*;

#[job(name = send, retry = 8, timeout = 10, concurrency = "4", strict_lease = true, blocking())]
fn send_mail(to: String) -> Result<(), JobError> {
    println!("{to}");
    Ok(())
}

fn main() {}
