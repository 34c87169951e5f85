/// Only there with mail.
#[cfg(feature = "mail")]
#[job]
#[expect(clippy::unused_async, reason = "an example")]
#[tracing::instrument]
pub async fn mail(size: Option<u32>) -> Result<(), JobError> {
    Ok(())
}

#[cfg(unix)]
#[job]
#[allow(deprecated)]
async fn signal() -> Result<(), JobError> {
    Ok(())
}
