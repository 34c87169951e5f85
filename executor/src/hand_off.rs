//! The token by which another system reports back.

use std::{fmt, str::FromStr};

use crate::{
    error::{Error, ErrorKind},
    run_id::RunId,
};

/// Names one hand-off: the program, its step, and the claim under which the job ran.
///
/// It travels as text, `run_id/step/number`, and comes back through
/// [`complete`](crate::Executor::complete) or [`fail`](crate::Executor::fail).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOffToken {
    run_id: RunId,
    step: usize,
    number: i64,
}

impl HandOffToken {
    pub(crate) fn new(run_id: RunId, step: usize, number: i64) -> Self {
        Self {
            run_id,
            step,
            number,
        }
    }

    /// The program that was handed off.
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The step that was handed off.
    pub fn step(&self) -> usize {
        self.step
    }

    pub(crate) fn number(&self) -> i64 {
        self.number
    }
}

impl fmt::Display for HandOffToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.run_id, self.step, self.number)
    }
}

impl FromStr for HandOffToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.rsplitn(3, '/');
        let mut next = || parts.next();
        match (next().map(str::parse), next().map(str::parse), next()) {
            (Some(Ok(number)), Some(Ok(step)), Some(run_id)) if !run_id.is_empty() => {
                Ok(Self::new(run_id.into(), step, number))
            }
            _ => Err(Error::new(
                ErrorKind::InvalidData,
                format!("{text:?} is no hand-off token; one looks like run_id/step/number"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_from_its_text() {
        let token = HandOffToken::new("a/b".into(), 3, 17);
        assert_eq!(
            token
                .to_string()
                .parse::<HandOffToken>()
                .expect("its own text"),
            token
        );
        assert!("a/b".parse::<HandOffToken>().is_err());
        assert!("/1/2".parse::<HandOffToken>().is_err());
    }
}
