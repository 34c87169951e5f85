//! All jobs that are linked into the binary.

use std::{
    any::type_name,
    collections::{HashMap, hash_map::Entry},
    sync::OnceLock,
};

use super::{Attempt, Field, Job, JobFuture, JobOptions, Needs};
use crate::{
    error::{Error, ErrorKind, Result},
    json::{self, DataError},
    suggest,
};

/// A registered job.
pub struct JobDefinition {
    pub(crate) name: &'static str,
    pub(crate) options: JobOptions,
    pub(crate) needs: Needs,
    pub(crate) run: fn(Attempt) -> JobFuture,
    /// Whether a text from outside is this job's data.
    pub(crate) check: fn(&str) -> std::result::Result<(), DataError>,
    /// Whether a text from outside is what this job returns.
    pub(crate) check_output: fn(&str) -> std::result::Result<(), DataError>,
    type_name: fn() -> &'static str,
}

impl JobDefinition {
    /// The registration of `J`.
    pub const fn of<J: Job>() -> Self {
        Self {
            name: J::NAME,
            options: J::OPTIONS,
            needs: J::NEEDS,
            run: J::run,
            check: |text| json::read_strictly::<J>(text).map(drop),
            check_output: |text| json::read::<J::Output>(text).map(drop),
            type_name: type_name::<J>,
        }
    }

    /// The job's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The documentation of its function.
    pub fn doc(&self) -> &'static str {
        self.needs.doc
    }

    /// The fields of its data.
    pub fn fields(&self) -> &'static [Field] {
        self.needs.fields
    }

    /// The path of its data's type.
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// `file:line` of its function.
    pub fn place(&self) -> String {
        format!("{}:{}", self.needs.file, self.needs.line)
    }

    /// Names of the jobs whose outputs it reads and cannot do without.
    pub(crate) fn required_outputs(&self) -> impl Iterator<Item = &'static str> {
        self.needs
            .outputs
            .iter()
            .filter(|need| need.required)
            .map(|need| need.job)
    }
}

inventory::collect!(JobDefinition);

/// The jobs of this binary, by name.
pub(crate) struct Registry {
    jobs: HashMap<&'static str, &'static JobDefinition>,
}

impl Registry {
    /// All jobs that are linked into this binary.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateName`] when two have one name: the text names both places.
    pub(crate) fn global() -> Result<&'static Self> {
        static REGISTRY: OnceLock<std::result::Result<Registry, String>> = OnceLock::new();
        REGISTRY
            .get_or_init(|| Self::collect(inventory::iter::<JobDefinition>()))
            .as_ref()
            .map_err(|message| Error::new(ErrorKind::DuplicateName, message.clone()))
    }

    fn collect(
        definitions: impl IntoIterator<Item = &'static JobDefinition>,
    ) -> std::result::Result<Self, String> {
        let mut jobs: HashMap<&'static str, &'static JobDefinition> = HashMap::new();
        for job in definitions {
            match jobs.entry(job.name) {
                Entry::Vacant(entry) => drop(entry.insert(job)),
                Entry::Occupied(entry) => {
                    return Err(format!(
                        "two jobs are named {:?}: at {} and at {}; give one of them another name",
                        job.name,
                        entry.get().place(),
                        job.place(),
                    ));
                }
            }
        }
        Ok(Self { jobs })
    }

    /// The job of this name, if it is registered.
    pub(crate) fn get(&self, name: &str) -> Option<&'static JobDefinition> {
        self.jobs.get(name).copied()
    }

    /// All jobs, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static JobDefinition> {
        let mut jobs: Vec<_> = self.jobs.values().copied().collect();
        jobs.sort_unstable_by_key(|job| job.name);
        jobs.into_iter()
    }

    /// The job of this name, or an error that names the known ones.
    pub(crate) fn require(&self, name: &str) -> Result<&'static JobDefinition> {
        self.get(name).ok_or_else(|| {
            let known = suggest::hint(name, self.jobs.keys().copied());
            Error::new(
                ErrorKind::UnknownJob,
                format!("no job is named {name:?}{known}"),
            )
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

/// The key of a job's data and output: its name, and `name#2`, `name#3` … where it stands again.
pub(crate) fn data_key(jobs: &[impl AsRef<str>], step: usize) -> String {
    let name = jobs[step].as_ref();
    match jobs[..step]
        .iter()
        .filter(|job| job.as_ref() == name)
        .count()
    {
        0 => name.to_owned(),
        earlier => format!("{name}#{}", earlier + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_jobs_have_keys_of_their_own() {
        let jobs = ["a", "b", "a", "a"];
        let keys: Vec<_> = (0..jobs.len()).map(|step| data_key(&jobs, step)).collect();
        assert_eq!(keys, ["a", "b", "a#2", "a#3"]);
    }
}
