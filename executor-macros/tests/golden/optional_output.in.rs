#[job]
pub async fn report(contacts: Option<Output<CountContacts>>) -> Result<(), JobError> {
    Ok(())
}
