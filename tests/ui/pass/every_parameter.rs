//! A job of every kind of parameter, called by a program and as the function that it is.
#![forbid(unsafe_code)]
#![deny(warnings)]

use executor::prelude::*;

#[derive(Serialize, Deserialize)]
struct Campaign {
    customer_id: u64,
}

struct Mailer;

#[job]
async fn count_contacts(segment: String) -> Result<u64, JobError> {
    Ok(segment.len() as u64)
}

#[job]
async fn look_up(name: String) -> Result<Option<String>, JobError> {
    Ok(Some(name))
}

/// Sends a campaign.
#[allow(clippy::too_many_arguments)]
#[job(
    name = "send",
    retry(max = 8, backoff = "1s..5m"),
    timeout = "10m",
    concurrency = 4,
    strict_lease,
    derive(Clone)
)]
async fn send_campaign(
    campaign: ProgramData<Campaign>,
    contacts: Output<CountContacts>,
    sender: Option<Output<LookUp>>,
    mailer: State<Mailer>,
    ctx: Context,
    /// Where to.
    #[serde(rename = "to")]
    target: String,
    subject: Option<String>,
    #[serde(default)] urgent: bool,
    #[serde(default = "first_page")] from: u32,
    mut page: Saved<u32>,
) -> Result<u32, JobError> {
    drop((sender, mailer, subject, urgent));
    while !ctx.is_cancelled() && u64::from(*page + from) < *contacts {
        println!("{} {target}", campaign.customer_id);
        page.set(*page + 1).await?;
    }
    Ok(*page)
}

fn first_page() -> u32 {
    1
}

#[job(blocking)]
fn resize(
    _: State<Mailer>,
    image: Vec<u8>,
    mut copies: Saved<u32>,
) -> Result<usize, std::io::Error> {
    let _ = &mut copies;
    Ok(image.len())
}

fn main() {
    let program = Program::new(Campaign { customer_id: 7 })
        .then(CountContacts {
            segment: "vip".to_owned(),
        })
        .then(SendCampaign {
            from: 2,
            ..SendCampaign::new("ada@example.org".to_owned())
        })
        .then(Resize::new(Vec::new()));
    assert!(program.erase().check().is_ok());
    assert_eq!(SendCampaign::NAME, "send");
    assert_eq!(SendCampaign::new(String::new()).clone().from, 1);
    let called = resize(State::new(Mailer), vec![1, 2], Saved::new(0));
    assert_eq!(called.ok(), Some(2));
}
