//! What one job returns, a later one reads; the compiler checks that it is there.
//!
//! `cargo run --example outputs`

use executor::{DynProgram, prelude::*};

#[derive(Serialize, Deserialize)]
struct Order {
    customer: String,
    items: Vec<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Invoice {
    number: u32,
    total: u32,
}

/// All jobs of the program can read its data.
#[job]
async fn price(order: ProgramData<Order>) -> Result<u32, JobError> {
    Ok(order.items.iter().sum())
}

#[job]
async fn discount(total: Output<Price>, percent: u32) -> Result<u32, JobError> {
    Ok(*total * (100 - percent) / 100)
}

/// An output that may be missing is an `Option`.
#[job]
async fn make_invoice(
    total: Output<Price>,
    discounted: Option<Output<Discount>>,
) -> Result<Invoice, JobError> {
    let total = discounted.map_or(*total, |discounted| *discounted);
    Ok(Invoice {
        number: 4711,
        total,
    })
}

#[job]
async fn send(order: ProgramData<Order>, invoice: Output<MakeInvoice>) -> Result<String, JobError> {
    Ok(format!(
        "{} pays {} (invoice {})",
        order.customer, invoice.total, invoice.number
    ))
}

/// `send` before `make_invoice` would not compile: *this job needs the output of `MakeInvoice`*.
fn order(customer: &str, items: Vec<u32>, percent: Option<u32>) -> impl IntoProgram {
    let order = Order {
        customer: customer.to_owned(),
        items,
    };
    Program::new(order)
        .then(Price)
        .then_if(
            percent.is_some(),
            Discount {
                percent: percent.unwrap_or(0),
            },
        )
        .then(MakeInvoice)
        .then(Send)
}

#[tokio::main]
async fn main() -> executor::Result<()> {
    let folder = std::env::temp_dir().join(format!("executor-outputs-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let executor = executor::builder()
        .database_url(format!("sqlite:{}", folder.join("outputs.db").display()))
        .connect()
        .await?;
    let full = order("Ada", vec![10, 20], None).create(&executor).await?;
    let reduced = order("Grace", vec![100], Some(25))
        .create(&executor)
        .await?;

    // A program that is built in a loop is checked when it is created.
    let mut many = DynProgram::new(Order {
        customer: "Edsger".to_owned(),
        items: vec![7],
    })
    .then(Price);
    for percent in [10, 50] {
        many = many.then(Discount { percent });
    }
    let many = many.then(MakeInvoice).then(Send).create(&executor).await?;

    for program in executor.work_until_ended([&full, &reduced, &many]).await? {
        println!(
            "{}: {}",
            program.state,
            program.output().unwrap_or(&"nothing".into())
        );
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
