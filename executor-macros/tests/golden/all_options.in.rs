#[job(
    name = "send \"it\" 📨",
    retry(max = 8, backoff = "1s..5m"),
    timeout = "1h 30m",
    concurrency = 4,
    strict_lease,
    derive(Clone, std::fmt::Debug),
    crate = "::my::executor"
)]
pub async fn send_it() -> Result<(), JobError> {
    Ok(())
}
