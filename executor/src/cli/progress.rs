//! How far a program is, in a few words.

use serde_json::Value;

use super::table::{cut, inline, one_line, short};
use crate::{
    job::{Registry, data_key},
    store::{ProgramInfo, ProgramState},
};

/// `2/5 send_campaign`; of a finished program `5/5`.
pub(super) fn step(program: &ProgramInfo) -> String {
    let all = program.jobs.len();
    match program.job() {
        Some(job) => format!("{}/{all} {}", program.step + 1, cut(job, 30)),
        None => format!("{all}/{all}"),
    }
}

/// One line on where it is: what a log of its way consists of.
pub(super) fn line(program: &ProgramInfo) -> String {
    match program.state {
        ProgramState::Finished => format!("finished{}", took(program)),
        ProgramState::Errored => format!("errored at {}: {}", step(program), error(program)),
        state => format!("{state} {}{}", step(program), attempt(program)),
    }
}

/// ` in 4.1s`, of a program that has ended.
pub(super) fn took(program: &ProgramInfo) -> String {
    match (
        program.created_at,
        program.finished_at.or(program.errored_at),
    ) {
        (Some(from), Some(to)) => match to.since(from) {
            time if time.as_secs() < 60 => format!(" in {:.1}s", time.as_secs_f64()),
            time => format!(" in {}", short(time)),
        },
        _ => String::new(),
    }
}

/// ` (attempt 2: the mail server is busy)`, of a step that was retried.
pub(super) fn attempt(program: &ProgramInfo) -> String {
    if program.step_retry_count == 0 {
        return String::new();
    }
    format!(
        " (attempt {}: {})",
        program.step_retry_count + 1,
        cut(&error(program), 80)
    )
}

/// Its last error as one line.
pub(super) fn error(program: &ProgramInfo) -> String {
    one_line(
        program
            .error_message
            .as_deref()
            .unwrap_or("no reason was given"),
    )
}

/// ` page 3`: the progress that the current job has saved, as far as it is short. Only this
/// binary's own jobs say which of their data is progress.
pub(super) fn saved(program: &ProgramInfo) -> String {
    let Some(job) = program
        .job()
        .and_then(|job| Registry::global().ok()?.get(job))
    else {
        return String::new();
    };
    let data = &program.job_data[data_key(&program.jobs, program.step)];
    let shown = job
        .fields()
        .iter()
        .filter(|field| field.saved)
        .filter_map(|field| match &data[field.name] {
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            value => Some(format!(" {} {}", field.name, inline(value, 20))),
        });
    shown.collect()
}
