//! Limits of a job over all workers of a store: how many run at once, and how many start in a time.

use serde_json::value::RawValue;

use crate::json;

/// What `concurrency_global`, `rate` and `limit_key` say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GlobalLimit {
    /// So many at once at most.
    pub(crate) concurrency: Option<u32>,
    pub(crate) rate: Option<Rate>,
    /// The field of the job's or the program's data: each value of it has a limit of its own.
    pub(crate) key: Option<&'static str>,
}

/// So many in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) count: u32,
    pub(crate) per_ms: u64,
    /// How many may start at one moment after a pause.
    pub(crate) burst: Option<u32>,
}

impl Rate {
    /// Microseconds from one token to the next.
    fn interval(self) -> i64 {
        let micros = u128::from(self.per_ms) * 1000 / u128::from(self.count.max(1));
        i64::try_from(micros).unwrap_or(i64::MAX / 1024).max(1)
    }

    /// A second's worth unless said otherwise, and one at least.
    fn burst(self) -> i64 {
        let second = u64::from(self.count) * 1000 / self.per_ms.max(1);
        let second = u32::try_from(second).unwrap_or(u32::MAX);
        i64::from(self.burst.unwrap_or(second).max(1))
    }

    /// How far the spent tokens may reach into the future. What is less than a token lets those who
    /// come a little late lose nothing.
    fn tolerance(self) -> i64 {
        let late = (self.interval() / 2).min(100_000);
        (self.burst() - 1).saturating_mul(self.interval()) + late
    }

    /// How many may start now; times in microseconds. This is the generic cell rate algorithm
    /// (ITU-T I.371): a token bucket that is one number.
    pub(crate) fn tokens(self, now: i64, spent_until: i64) -> i64 {
        let ahead = spent_until.max(now) - now;
        let rest = self.tolerance() - ahead;
        if rest < 0 {
            return 0;
        }
        rest / self.interval() + 1
    }

    /// Until when the tokens are spent when so many start now.
    pub(crate) fn spend(self, now: i64, spent_until: i64, number: i64) -> i64 {
        spent_until
            .max(now)
            .saturating_add(number.saturating_mul(self.interval()))
    }

    /// When the next token is there.
    pub(crate) fn next(self, spent_until: i64) -> i64 {
        spent_until - self.tolerance()
    }
}

impl GlobalLimit {
    /// The name of the limit under which a program runs this job: `key` is the job's place in the
    /// program's job data.
    pub(crate) fn name(
        &self,
        job: &str,
        data_key: &str,
        job_data: &str,
        program_data: &str,
    ) -> String {
        let Some(field) = self.key else {
            return job.to_owned();
        };
        let of_job = json::read_map(job_data).ok().and_then(|all| {
            all.get(data_key)
                .and_then(|data| field_of(data.get(), field))
        });
        let value = of_job.or_else(|| field_of(program_data, field));
        let value = value.unwrap_or_else(|| "null".to_owned());
        let name = format!("{job}:{value}");
        if name.chars().count() <= LONGEST {
            return name;
        }
        let digest = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes());
        let shortened: String = job.chars().take(LONGEST - 40).collect();
        format!("{shortened}:{digest}")
    }
}

/// What the column takes.
const LONGEST: usize = 250;

/// A field of a JSON object, as JSON text.
fn field_of(object: &str, field: &str) -> Option<String> {
    let fields = json::read_map(object).ok()?;
    let value: &RawValue = fields.get(field)?;
    // The same value may be written in several ways.
    let value: serde_json::Value = serde_json::from_str(value.get()).ok()?;
    Some(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32, per_ms: u64, burst: Option<u32>) -> Rate {
        Rate {
            count,
            per_ms,
            burst,
        }
    }

    /// Starts as many as it may at each of these times; how many in all.
    fn starts(rate: Rate, times: impl Iterator<Item = i64>) -> i64 {
        let (mut spent, mut all) = (0, 0);
        for now in times {
            let number = rate.tokens(now, spent);
            spent = rate.spend(now, spent, number);
            all += number;
        }
        all
    }

    #[test]
    fn a_burst_is_a_seconds_worth_unless_said_otherwise() {
        let now = 1_700_000_000_000_000;
        assert_eq!(rate(100, 1000, None).tokens(now, 0), 100);
        assert_eq!(rate(100, 60_000, None).tokens(now, 0), 1);
        assert_eq!(rate(100, 60_000, Some(5)).tokens(now, 0), 5);
    }

    #[test]
    fn those_who_come_late_lose_nothing() {
        let rate = rate(100, 1000, Some(1));
        // Each look comes 3 ms after its token.
        let minute = (0..6000).map(|n| 1_700_000_000_000_000 + n * 10_000 + (n % 4) * 1000);
        let all = starts(rate, minute);
        assert!((5880..=6001).contains(&all), "{all}");
    }

    #[test]
    fn the_rate_is_kept_however_often_one_looks() {
        let rate = rate(100, 60_000, None);
        let ten_minutes = (0..600_000).map(|n| 1_700_000_000_000_000 + n * 1000);
        let all = starts(rate, ten_minutes);
        assert!((999..=1001).contains(&all), "{all}");
    }

    #[test]
    fn the_next_token_is_there_at_its_time_and_not_before() {
        let rate = rate(7, 1000, Some(2));
        let now = 1_700_000_000_000_000;
        let spent = rate.spend(now, 0, rate.tokens(now, 0));
        let next = rate.next(spent);
        assert_eq!(rate.tokens(next - 1, spent), 0);
        assert_eq!(rate.tokens(next, spent), 1);
    }

    #[test]
    fn a_key_is_a_field_of_the_jobs_data_or_else_of_the_programs() {
        let limit = GlobalLimit {
            concurrency: Some(1),
            rate: None,
            key: Some("customer_id"),
        };
        let job_data = r#"{"send": {"customer_id": 7}, "send#2": {"customer_id": "x"}}"#;
        let program_data = r#"{"customer_id": 9}"#;
        let name = |key, job_data| limit.name("send", key, job_data, program_data);
        assert_eq!(name("send", job_data), "send:7");
        assert_eq!(name("send#2", job_data), "send:\"x\"");
        assert_eq!(name("send", "{}"), "send:9");
        assert_eq!(limit.name("send", "send", "{}", "{}"), "send:null");
        let long = format!(r#"{{"customer_id": "{}"}}"#, "é".repeat(300));
        let long = limit.name("send", "send", "{}", &long);
        assert!(long.chars().count() <= LONGEST, "{long}");
    }
}
