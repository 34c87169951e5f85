//! What people are told of a program, once it is durable; the texts are those of program-executor.

use super::{Shared, decide::Tell};
use crate::{event::Event, job::ProgramMemory, run_id::RunId};

/// Whose attempt it was.
pub(super) struct Whose<'a> {
    pub(super) run_id: &'a RunId,
    pub(super) step: usize,
    pub(super) job: &'a str,
    pub(super) attempt: u32,
    /// The program, where it could be read.
    pub(super) memory: Option<&'a ProgramMemory>,
}

impl Whose<'_> {
    /// What program-executor would have as its message: the jobs that are left, and the program's data. A long
    /// one is cut.
    fn content(&self) -> String {
        const LONGEST: usize = 2048;
        let Some(memory) = self.memory else {
            return String::new();
        };
        // Texts can always be written.
        let jobs = memory.jobs.get(self.step..).unwrap_or_default();
        let jobs = serde_json::to_string(jobs).unwrap_or_default();
        let run_id = serde_json::to_string(self.run_id).unwrap_or_default();
        let data = &memory.program_data;
        let mut content = format!(r#"{{"runId":{run_id},"jobs":{jobs},"programData":{data}}}"#);
        if content.len() > LONGEST {
            content.truncate(content.floor_char_boundary(LONGEST));
            content.push('…');
        }
        content
    }
}

pub(super) fn tell(worker: &Shared, whose: &Whose<'_>, tell: &Tell) {
    let Whose {
        run_id,
        step,
        job,
        attempt,
        ..
    } = *whose;
    match tell {
        Tell::Nothing => {}
        Tell::Done => worker.events.raise(|| Event::StepDone {
            run_id: run_id.clone(),
            step,
            job: job.to_owned(),
        }),
        Tell::Retry { message, after } => {
            tracing::warn!(
                %run_id, job, step, attempt, error_message = %message, retry_after = ?after,
                content = whose.content(), "Consumer error retry"
            );
            worker.events.raise(|| Event::Retrying {
                run_id: run_id.clone(),
                step,
                job: job.to_owned(),
                attempt,
                error: message.clone(),
                after: *after,
            });
        }
        Tell::Error(message) => {
            tracing::error!(
                %run_id, job, step, attempt, error_message = %message,
                content = whose.content(), "Consumer error finish"
            );
            worker.events.raise(|| Event::Errored {
                run_id: run_id.clone(),
                step,
                job: job.to_owned(),
                error: message.clone(),
            });
        }
        Tell::Quiet(message) => {
            tracing::debug!(
                %run_id, job, step, attempt, error_message = %message,
                content = whose.content(), "Consumer error finish"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Changing;

    #[test]
    fn the_content_is_what_program_executor_sends() {
        let content = |data: &str| {
            let jobs = ["first", "second"].map(Box::from).to_vec();
            let memory = ProgramMemory::new(jobs, data.into(), Changing::default());
            let whose = Whose {
                run_id: &RunId::from("7"),
                step: 1,
                job: "second",
                attempt: 1,
                memory: Some(&memory),
            };
            whose.content()
        };
        assert_eq!(
            content(r#"{"customer":7}"#),
            r#"{"runId":"7","jobs":["second"],"programData":{"customer":7}}"#
        );
        let long = content(&format!("\"{}\"", "é".repeat(2000)));
        assert!(long.len() < 2060 && long.ends_with('…'), "{}", long.len());
    }
}
