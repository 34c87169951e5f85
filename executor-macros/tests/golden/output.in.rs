#[job]
pub async fn send_campaign(
    contacts: Output<CountContacts>,
    _: executor::Output<mail::Render>,
    subject: String,
) -> Result<(), JobError> {
    Ok(())
}
