use serde::{Deserialize, Serialize};

use crate::{Part, Result};

/// The figures of one part, as they stand in a contestant's line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Programs a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// Milliseconds from creation to start, the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// The same, what 99 of 100 stay within.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Bodies that ran although theirs had run already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_again: Option<usize>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    part: String,
    #[serde(flatten)]
    report: Report,
}

impl Report {
    /// One without figures.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self {
            skipped: Some(why.into()),
            ..Self::default()
        }
    }

    /// The line that a contestant prints for this part.
    ///
    /// # Errors
    ///
    /// - A figure is no number.
    pub fn line(&self, part: Part) -> Result<String> {
        Ok(serde_json::to_string(&Line {
            part: part.name().to_owned(),
            report: self.clone(),
        })?)
    }

    /// Reads the line that a contestant printed for this part.
    ///
    /// # Errors
    ///
    /// - There is none, or it is another part's.
    pub fn from_output(output: &str, part: Part) -> Result<Self> {
        let line = output.lines().last().ok_or("it printed nothing")?;
        let line: Line = serde_json::from_str(line)?;
        if line.part != part.name() {
            return Err(format!("it measured {} for {}", line.part, part.name()).into());
        }
        Ok(line.report)
    }
}
