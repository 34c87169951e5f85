#[cfg(feature = "mail")]
#[program(crate = "jobs")]
pub async fn campaign(campaign: String) -> Result<impl IntoProgram, ReadError> {
    let campaign = read(campaign).await?;
    Ok(Program::new(campaign).then(CountContacts))
}
