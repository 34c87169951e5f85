#[job(crate = "jobs", retry(backoff = "10s"))]
pub async fn send_page(page: u32, contacts: jobs::Output<CountContacts>) -> Result<(), jobs::JobError> {
    Ok(())
}
