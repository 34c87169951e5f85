#[job]
pub async fn count_contacts(campaign: ProgramData<Campaign>) -> Result<u64, JobError> {
    Ok(campaign.count)
}
