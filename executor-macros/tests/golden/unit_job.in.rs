/// Answers.
#[job]
async fn ping() -> Result<(), JobError> {
    Ok(())
}
