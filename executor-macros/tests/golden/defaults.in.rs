#[job(derive(Clone, Debug))]
pub async fn import(
    limit: Option<u32>,
    #[serde(default)] page: u32,
    #[serde(default = "settings::size", alias = "batch")] size: usize,
) -> Result<(), JobError> {
    Ok(())
}
