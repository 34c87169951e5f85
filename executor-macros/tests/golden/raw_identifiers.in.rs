#[job]
pub async fn r#match(r#type: String, r#fn: Saved<u32>) -> Result<(), JobError> {
    Ok(())
}
