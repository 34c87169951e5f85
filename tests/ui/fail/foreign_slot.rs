use executor::prelude::*;

#[derive(Deserialize)]
struct Slot(u32);

#[job]
async fn park(place: u32) -> Result<(), JobError> {
    println!("{place}");
    Ok(())
}

#[program]
fn parking(slot: Option<Slot>) -> impl IntoProgram {
    Park { place: slot.map_or(0, |slot| slot.0) }
}

fn main() {}
