//! `show`: all that matters of one program.

use serde_json::{Map, Value};

use super::{
    follow::{is_attended, unknown},
    progress,
    table::{age, cut, inline, one_line},
    terminal::{print, print_json},
};
use crate::{
    error::Result,
    handle::Executor,
    job::{Registry, data_key},
    run_id::RunId,
    store::{ProgramInfo, ProgramState, WorkerInfo},
    time::Timestamp,
};

/// Show one program: where it is and why, its jobs, data and errors
#[derive(clap::Args)]
pub(super) struct Show {
    run_id: RunId,
    /// Print all that is known of it as JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let program = executor
            .get(&self.run_id)
            .await?
            .ok_or_else(|| unknown(&self.run_id))?;
        let children = executor.children(&self.run_id).await?;
        let reason = reason(&executor, &program).await?;
        if self.json {
            let mut all = serde_json::to_value(&program)?;
            all["reason"] = reason.into();
            all["children"] = children.iter().map(RunId::as_str).collect();
            print_json(&all)?;
        } else {
            print(&text(&program, reason.as_deref(), &children))?;
        }
        Ok(())
    }
}

/// Why it does not run now; what the program itself can't know is asked of the store.
async fn reason(executor: &Executor, program: &ProgramInfo) -> Result<Option<String>> {
    let workers = executor.workers().await?;
    let scheduled = match program.state {
        ProgramState::Scheduled => true,
        ProgramState::Available => false,
        ProgramState::Running => {
            let its = |worker: &WorkerInfo| program.worker.as_ref() == Some(&worker.id);
            let gone = "its worker is gone; another goes on with it when the lease is over";
            return Ok((!workers.iter().any(its)).then(|| gone.to_owned()));
        }
        ProgramState::Waiting | ProgramState::Finished | ProgramState::Errored => {
            return Ok(program.reason());
        }
    };
    let queue = &program.queue;
    let mut reasons = Vec::new();
    if executor
        .stats()
        .await?
        .queues
        .get(queue)
        .is_some_and(|queue| queue.paused)
    {
        reasons.push(format!(
            "the queue {queue:?} is paused, until `resume {queue}`"
        ));
    }
    if !is_attended(&workers, queue) {
        reasons.push(format!(
            "no live worker works the queue {queue:?}; `work --queue {queue}` starts one"
        ));
    }
    if let Some(job) = program
        .job()
        .filter(|job| Registry::global().is_ok_and(|r| r.get(job).is_none()))
    {
        reasons.push(format!(
            "it needs a worker that has the job {job:?}; this application has not"
        ));
    }
    if scheduled || reasons.is_empty() {
        reasons.splice(0..0, program.reason());
    }
    Ok(Some(reasons.join(", and ")))
}

fn text(program: &ProgramInfo, reason: Option<&str>, children: &[RunId]) -> String {
    let mut page = Page::default();
    page.field("program", program.run_id.as_str());
    page.maybe("name", program.name.as_deref());
    match reason {
        Some(reason) => page.field("state", &format!("{}: {reason}", program.state)),
        None => page.field(
            "state",
            &format!("{}{}", program.state, progress::took(program)),
        ),
    }
    let failed = program.state == ProgramState::Errored;
    page.maybe(
        if failed { "error" } else { "last error" },
        program.error_message.as_deref(),
    );
    match program.priority {
        0 => page.field("queue", &program.queue),
        priority => page.field("queue", &format!("{}, priority {priority}", program.queue)),
    }
    page.maybe("unique key", program.unique_key.as_deref());
    page.time("created", program.created_at);
    page.time("updated", program.updated_at);
    page.time("finished", program.finished_at);
    page.time("errored", program.errored_at);
    page.maybe("worker", program.worker.as_deref());
    if let Some(until) = program
        .lease_until
        .filter(|_| program.state == ProgramState::Running)
    {
        page.field("lease until", &until.to_string());
    }
    if program.crashes > 0 {
        let crashes = format!("its worker died {} times in this step", program.crashes);
        page.field("crashes", &crashes);
    }
    page.maybe("parent", program.parent_run_id.as_ref().map(RunId::as_str));
    for child in children {
        page.field("child", child.as_str());
    }
    page.jobs(program);
    page.errors(program);
    page.data("program data", &program.program_data);
    page.data("attributes", &program.attributes);
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn field(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name:12} {}\n", one_line(value)));
    }

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    fn time(&mut self, name: &str, time: Option<Timestamp>) {
        if let Some(time) = time {
            self.field(name, &format!("{time} ({} ago)", age(time)));
        }
    }

    fn jobs(&mut self, program: &ProgramInfo) {
        self.0.push_str("\njobs\n");
        let width = program
            .jobs
            .iter()
            .map(|job| job.chars().count())
            .max()
            .unwrap_or(0);
        for (step, job) in program.jobs.iter().enumerate() {
            let key = data_key(&program.jobs, step);
            let (mark, word) = mark(program, step);
            let mut line = format!(
                "  {mark} {:>2} {:width$}  {word:9}",
                step + 1,
                one_line(job)
            );
            let failed = program
                .errors
                .iter()
                .filter(|error| error.step == step)
                .count();
            if step == program.step && program.step_retry_count > 0 {
                line.push_str(&format!("  attempt {}", program.step_retry_count + 1));
            } else if step < program.step && failed > 0 {
                line.push_str(&format!("  attempt {}", failed + 1));
            }
            if let Some(output) = program.outputs.get(&key) {
                line.push_str(&format!("  -> {}", inline(output, 60)));
            }
            self.0.push_str(line.trim_end());
            self.0.push('\n');
            if let Some(data) = program.job_data.get(&key) {
                self.0
                    .push_str(&format!("         {}\n", inline(data, 100)));
            }
        }
    }

    fn errors(&mut self, program: &ProgramInfo) {
        if program.errors.is_empty() {
            return;
        }
        self.0.push_str("\nfailed attempts\n");
        for failed in &program.errors {
            let error = cut(&one_line(&failed.error), 500);
            self.0.push_str(&format!(
                "  {} step {} {}, attempt {}: {error}\n",
                failed.at,
                failed.step + 1,
                one_line(&failed.job),
                failed.attempt,
            ));
        }
    }

    fn data(&mut self, name: &str, value: &Value) {
        if value.is_null() || *value == Value::Object(Map::new()) {
            return;
        }
        // Laying it out can't fail: it is JSON already.
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.0.push_str(&format!("\n{name}\n"));
        for line in cut(&text, 4000).lines() {
            self.0.push_str(&format!("  {line}\n"));
        }
    }
}

/// How it stands with a job, as a mark and as a word.
fn mark(program: &ProgramInfo, step: usize) -> (char, &'static str) {
    if step < program.step {
        return ('✓', "done");
    }
    let ended = program.state.is_terminal();
    if step > program.step {
        return if ended {
            ('·', "skipped")
        } else {
            ('·', "to come")
        };
    }
    match program.state {
        ProgramState::Finished => ('✓', "done"),
        ProgramState::Errored if program.errors.iter().any(|error| error.step == step) => {
            ('✗', "failed")
        }
        ProgramState::Errored => ('✗', "stopped"),
        ProgramState::Running => ('▶', "running"),
        ProgramState::Waiting => ('…', "waiting"),
        ProgramState::Scheduled if program.step_retry_count > 0 => ('↻', "retrying"),
        ProgramState::Scheduled => ('…', "scheduled"),
        ProgramState::Available => ('…', "available"),
    }
}
