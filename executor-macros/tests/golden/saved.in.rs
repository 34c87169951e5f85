#[job]
pub async fn export(
    file: String,
    /// The next page.
    mut page: Saved<u32>,
    cursor: Saved<Cursor>,
    #[serde(default = "first", rename = "from")] start: crate::Saved<Option<u64>>,
) -> Result<(), JobError> {
    page.set(1).await
}
