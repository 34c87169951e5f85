//! How often and how late a failed job is tried again.

use std::time::Duration;

/// The back-off of a job: exponential, with jitter.
///
/// The n-th retry waits between half and the whole of `min(max, min * 2^n)`, drawn evenly
/// ("equal jitter", Marc Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog, 2015),
/// so that programs which failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    max_retries: u32,
    min: Duration,
    max: Duration,
    /// Without jitter.
    steady: bool,
}

impl RetryPolicy {
    /// At most `max_retries` retries, the first after `min` at the latest, none later than `max`.
    pub const fn new(max_retries: u32, min: Duration, max: Duration) -> Self {
        Self {
            max_retries,
            min,
            max,
            steady: false,
        }
    }

    /// For ever, and always after this time.
    pub(crate) const fn every(time: Duration) -> Self {
        Self {
            max_retries: u32::MAX,
            min: time,
            max: time,
            steady: true,
        }
    }

    /// The retries after which an error is fatal.
    pub const fn max_retries(&self) -> u32 {
        self.max_retries
    }

    /// The first delay at most, and the longest.
    #[cfg(feature = "cli")]
    pub(crate) const fn delays(&self) -> (Duration, Duration) {
        (self.min, self.max)
    }

    /// How long to wait before the next attempt, or `None` when there is none.
    ///
    /// `retried` counts the retries that were already made.
    pub fn delay(&self, retried: u32) -> Option<Duration> {
        if retried >= self.max_retries {
            return None;
        }
        let whole = self.ceiling(retried);
        if self.steady {
            return Some(whole);
        }
        Some(whole.mul_f64(0.5 + 0.5 * fastrand::f64()))
    }

    fn ceiling(&self, retried: u32) -> Duration {
        let factor = 1u32.checked_shl(retried).unwrap_or(u32::MAX);
        self.min.saturating_mul(factor).min(self.max)
    }
}

/// 20 retries, from one second up to one hour apart.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new(20, Duration::from_secs(1), Duration::from_secs(3600))
    }
}

/// The pause after so many failures of the store in a row: up to some seconds.
pub(crate) fn back_off(failed: u32) -> Duration {
    Duration::from_millis(50 << failed.min(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_ceiling_within_the_jitter() {
        let policy = RetryPolicy::new(40, Duration::from_secs(1), Duration::from_secs(60));
        for (retried, whole) in [(0, 1), (1, 2), (5, 32), (6, 60), (39, 60)] {
            let whole = Duration::from_secs(whole);
            for _ in 0..50 {
                let delay = policy.delay(retried).expect("below the maximum");
                assert!(delay >= whole / 2 && delay <= whole, "{retried}: {delay:?}");
            }
        }
    }

    #[test]
    fn ends_after_its_maximum() {
        let policy = RetryPolicy::new(2, Duration::ZERO, Duration::ZERO);
        assert_eq!(policy.delay(1), Some(Duration::ZERO));
        assert_eq!(policy.delay(2), None);
        assert_eq!(
            RetryPolicy::new(0, Duration::ZERO, Duration::ZERO).delay(0),
            None
        );
    }
}
