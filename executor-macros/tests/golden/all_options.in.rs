#[job(
    name = "send \"it\" 📨",
    retry(max = 8, backoff = "1s..5m"),
    timeout = "1h 30m",
    concurrency = 4,
    concurrency_global = 10,
    rate = "100/min",
    burst = 20,
    strict_lease,
    derive(Clone, std::fmt::Debug),
    crate = "::my::executor"
)]
pub async fn send_it() -> Result<(), JobError> {
    Ok(())
}
