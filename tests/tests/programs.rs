//! Programs run in order, with what their jobs read and return.

use executor::{ProgramState, prelude::*};
use executor_tests::{Fresh, Working, ended};

#[derive(Serialize, Deserialize)]
struct Campaign {
    customer_id: u64,
}

/// Counts the contacts of a segment.
#[job(name = "count_contacts")]
async fn count_contacts(campaign: ProgramData<Campaign>, segment: String) -> Result<u64, JobError> {
    Ok(campaign.customer_id * 10 + segment.len() as u64)
}

#[job]
async fn send_campaign(
    contacts: Output<CountContacts>,
    mut page: Saved<u32>,
) -> Result<u32, JobError> {
    while u64::from(*page) * 10 < *contacts {
        page.set(*page + 1).await?;
    }
    Ok(*page)
}

#[tokio::test]
async fn a_program_runs_its_jobs_in_order() {
    let fresh = Fresh::new();
    let executor = fresh.builder().connect().await.expect("connected");
    let working = Working::start(&executor);
    let run_id = Program::new(Campaign { customer_id: 7 })
        .then(CountContacts {
            segment: "vip".to_owned(),
        })
        .then(SendCampaign::default())
        .create(&executor)
        .await
        .expect("created");
    let program = ended(&executor, &run_id).await;
    assert_eq!(program.state, ProgramState::Finished, "{program:?}");
    assert_eq!(program.outputs["count_contacts"], 73);
    assert_eq!(program.output(), Some(&8.into()));
    assert_eq!(program.job_data["send_campaign"]["page"], 8);
    working.stop().await;
}
