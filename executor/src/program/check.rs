//! What the compiler checks of typed programs, for programs that come as data.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde_json::{Map, Value};

use super::DynProgram;
use crate::{
    error::{Error, ErrorKind, Result},
    job::Registry,
    suggest,
};

/// Gives each run of a repeated job its key: `name`, `name#2`, …
#[derive(Default)]
pub(super) struct Runs(HashMap<String, usize>);

impl Runs {
    pub(super) fn key<'a>(&mut self, name: &'a str) -> Cow<'a, str> {
        match self.0.get_mut(name) {
            Some(run) => {
                *run += 1;
                Cow::Owned(format!("{name}#{run}"))
            }
            None => {
                self.0.insert(name.to_owned(), 1);
                Cow::Borrowed(name)
            }
        }
    }
}

pub(super) fn check(program: &DynProgram) -> Result<()> {
    let registry = Registry::global()?;
    let program_data = match &program.data {
        Ok(raw) => raw.get(),
        Err(e) => {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("program data: {e}"),
            ));
        }
    };
    let mut earlier = HashSet::new();
    let mut read = HashSet::new();
    let mut runs = Runs::default();
    for entry in &program.jobs {
        let key = runs.key(&entry.name);
        let job = match registry.get(&entry.name) {
            None if entry.external => {
                earlier.insert(&*entry.name);
                continue;
            }
            _ => registry.require(&entry.name)?,
        };
        for needed in job.required_outputs() {
            if !earlier.contains(needed) {
                return Err(Error::new(
                    ErrorKind::InvalidProgram,
                    format!(
                        "job {key:?} needs the output of {needed:?}, and no earlier job of the \
                         program is {needed:?}"
                    ),
                ));
            }
        }
        earlier.insert(&*entry.name);
        let invalid = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::InvalidData, format!("data of job {key:?}: {e}"))
        };
        match &entry.data {
            Ok(raw) => (job.check)(raw.get()).map_err(|e| invalid(&e))?,
            Err(e) => return Err(invalid(e)),
        }
        // Each job once: a thousand runs of one job read the same program data.
        if let Some(need) = &job.needs.program_data
            && read.insert(job.name)
        {
            (need.check)(program_data).map_err(|e| {
                Error::new(
                    ErrorKind::InvalidData,
                    format!(
                        "program data, as job {key:?} reads it ({}): {e}",
                        (need.type_name)()
                    ),
                )
            })?;
        }
    }
    Ok(())
}

impl DynProgram {
    /// A program from data: the names of its jobs, the program's data, and the data of its jobs
    /// by their key (`name`, and `name#2` for a job's second run).
    ///
    /// # Errors
    /// An empty list, an unknown job, data for no job of the list, data that does not fit, or an
    /// output that is needed before it is made: with the place, the known names and the nearest
    /// one.
    pub fn from_json(
        jobs: &[String],
        program_data: &Value,
        job_data: &Map<String, Value>,
    ) -> Result<Self> {
        Self::from_json_and_external(jobs, program_data, job_data, &[])
    }

    /// The same, where other workers have some of these jobs, and this process may lack them.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json), or an external job that the program does not have.
    pub(crate) fn from_json_and_external(
        jobs: &[String],
        program_data: &Value,
        job_data: &Map<String, Value>,
        external: &[String],
    ) -> Result<Self> {
        if let Some(stray) = external.iter().find(|name| !jobs.contains(name)) {
            let hint = suggest::hint(stray, jobs.iter().map(String::as_str));
            return Err(Error::new(
                ErrorKind::InvalidProgram,
                format!("{stray:?} is external, and no job of this program{hint}"),
            ));
        }
        let mut program = Self::new(program_data);
        let mut keys = HashSet::new();
        let mut runs = Runs::default();
        let empty = Value::Object(Map::new());
        for name in jobs {
            let key = runs.key(name).into_owned();
            let data = job_data.get(&key).unwrap_or(&empty);
            program = match external.contains(name) {
                true => program.then_external(name.clone(), data),
                false => program.then_named(name.clone(), data),
            };
            keys.insert(key);
        }
        if program.jobs.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidProgram,
                "the list of jobs is empty; name at least one job",
            ));
        }
        program.check()?;
        if let Some(stray) = job_data.keys().find(|key| !keys.contains(*key)) {
            let hint = suggest::hint(stray, keys.iter().map(String::as_str));
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("job data for {stray:?}, which is no job of this program{hint}"),
            ));
        }
        Ok(program)
    }
}
