//! RabbitMQ hands the programs to the workers; the store stays the truth.
//!
//! `docker compose up --detach --wait postgres rabbitmq`, and then, in as many terminals as you like:
//!
//! ```text
//! export DATABASE_URL=postgres://postgres@127.0.0.1:15432/postgres
//! export AMQP_URL=amqp://guest:guest@127.0.0.1:15679/%2f
//! cargo run --example rabbitmq --features rabbitmq -- work
//! cargo run --example rabbitmq --features rabbitmq -- start orders --count 100 --follow
//! ```
//!
//! Stop RabbitMQ in the middle (`docker compose stop rabbitmq`): the workers say so once, and go on from
//! the database. Start it again, and they say that too.

use std::time::Duration;

use executor::prelude::*;

/// Takes an order apart: each of its parcels is a program of its own.
#[job]
async fn take_apart(ctx: Context, count: u32) -> Result<u32, JobError> {
    for parcel in 0..count {
        ctx.start(Pack { parcel }.into_program().then(Ship))?;
    }
    Ok(count)
}

/// Packs a parcel.
#[job]
async fn pack(parcel: u32) -> Result<String, JobError> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(format!("parcel {parcel}"))
}

/// Ships it.
#[job]
async fn ship(packed: Output<Pack>) -> Result<(), JobError> {
    println!("{} ships {}", std::process::id(), *packed);
    Ok(())
}

/// Orders of so many parcels.
#[program(name = "orders")]
fn orders(count: u32) -> impl IntoProgram {
    Program::new(()).then(TakeApart { count })
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    executor::run().await
}
