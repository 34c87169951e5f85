use executor::prelude::*;

#[derive(Serialize, Deserialize)]
enum State {
    Open,
}

#[job]
async fn send_mail(state: State) -> Result<(), JobError> {
    drop(state);
    Ok(())
}

fn main() {}
