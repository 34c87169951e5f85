//! `jobs` and `programs`: what this application can do. The store is not touched.

use serde::Serialize;

use super::{
    start::first_paragraph,
    terminal::{note, print, print_json},
};
use crate::{
    error::Result,
    job::{Field, JobDefinition, Registry},
    program::{Argument, ArgumentKind, ProgramDefinition, Programs},
};

/// List this application's jobs
#[derive(clap::Args)]
pub(super) struct Jobs {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct JobRow {
    name: &'static str,
    doc: &'static str,
    fields: Vec<FieldRow>,
    /// The type of the program data that it reads.
    program_data: Option<&'static str>,
    /// The jobs whose outputs it can't do without.
    needs_output_of: Vec<&'static str>,
    max_retries: u32,
    backoff: String,
    timeout: Option<String>,
    concurrency: Option<u32>,
    place: String,
}

#[derive(Serialize)]
struct FieldRow {
    name: &'static str,
    #[serde(rename = "type")]
    ty: &'static str,
    required: bool,
    saved: bool,
}

impl Jobs {
    pub(super) fn perform(self) -> Result<()> {
        let jobs: Vec<JobRow> = Registry::global()?.iter().map(JobRow::of).collect();
        if self.json {
            print_json(&jobs)?;
        } else if jobs.is_empty() {
            note("no jobs; #[job] on an async function makes one");
        } else {
            let blocks: Vec<String> = jobs.iter().map(JobRow::text).collect();
            print(&blocks.join("\n"))?;
        }
        Ok(())
    }
}

impl JobRow {
    fn of(job: &'static JobDefinition) -> Self {
        let (min, max) = job.options.retry().delays();
        let time = |duration| humantime::format_duration(duration).to_string();
        let field = |field: &'static Field| FieldRow {
            name: field.name,
            ty: field.ty,
            required: field.required,
            saved: field.saved,
        };
        Self {
            name: job.name(),
            doc: job.doc(),
            fields: job.fields().iter().map(field).collect(),
            program_data: job
                .needs
                .program_data
                .as_ref()
                .map(|need| (need.type_name)()),
            needs_output_of: job.required_outputs().collect(),
            max_retries: job.options.retry().max_retries(),
            backoff: format!("{}..{}", time(min), time(max)),
            timeout: job.options.timeout().map(time),
            concurrency: job.options.concurrency,
            place: job.place(),
        }
    }

    fn text(&self) -> String {
        let mut text = heading(self.name, self.doc);
        for field in &self.fields {
            let kind = match (field.saved, field.required) {
                (true, _) => " (saved progress)",
                (false, true) => "",
                (false, false) => " (optional)",
            };
            text.push_str(&format!("    {}: {}{kind}\n", field.name, field.ty));
        }
        if let Some(ty) = self.program_data {
            text.push_str(&format!("    reads the program data {ty}\n"));
        }
        if !self.needs_output_of.is_empty() {
            let jobs = self.needs_output_of.join(", ");
            text.push_str(&format!("    reads the output of {jobs}\n"));
        }
        let mut options = match self.max_retries {
            0 => "no retries".to_owned(),
            retries => format!("up to {retries} retries, {} apart", self.backoff),
        };
        if let Some(timeout) = &self.timeout {
            options.push_str(&format!("; timeout {timeout}"));
        }
        if let Some(concurrency) = self.concurrency {
            options.push_str(&format!("; at most {concurrency} at once in a worker"));
        }
        text.push_str(&format!("    {options}\n    {}\n", self.place));
        text
    }
}

/// List this application's programs, which `start` starts
#[derive(clap::Args)]
pub(super) struct NamedPrograms {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ProgramRow {
    name: &'static str,
    doc: &'static str,
    arguments: Vec<ArgumentRow>,
    place: String,
}

#[derive(Serialize)]
struct ArgumentRow {
    name: &'static str,
    doc: &'static str,
    #[serde(rename = "type")]
    ty: &'static str,
    required: bool,
}

impl NamedPrograms {
    pub(super) fn perform(self) -> Result<()> {
        let programs: Vec<ProgramRow> = Programs::collect()?.iter().map(ProgramRow::of).collect();
        if self.json {
            print_json(&programs)?;
        } else if programs.is_empty() {
            note("no programs; #[program] on a function makes one");
        } else {
            let blocks: Vec<String> = programs.iter().map(ProgramRow::text).collect();
            print(&blocks.join("\n"))?;
        }
        Ok(())
    }
}

impl ProgramRow {
    fn of(program: &'static ProgramDefinition) -> Self {
        let argument = |argument: &'static Argument| ArgumentRow {
            name: argument.name,
            doc: argument.doc,
            ty: argument.ty,
            required: argument.kind == ArgumentKind::Required,
        };
        Self {
            name: program.name(),
            doc: program.doc(),
            arguments: program.arguments().iter().map(argument).collect(),
            place: program.place(),
        }
    }

    fn text(&self) -> String {
        let mut text = heading(self.name, self.doc);
        for argument in &self.arguments {
            let optional = if argument.required { "" } else { " (optional)" };
            let mut line = format!("    {}: {}{optional}", argument.name, argument.ty);
            if !argument.doc.is_empty() {
                line.push_str(&format!("  {}", first_paragraph(argument.doc)));
            }
            text.push_str(&format!("{line}\n"));
        }
        text.push_str(&format!("    {}\n", self.place));
        text
    }
}

fn heading(name: &str, doc: &str) -> String {
    match first_paragraph(doc) {
        doc if doc.is_empty() => format!("{name}\n"),
        doc => format!("{name}  {doc}\n"),
    }
}
