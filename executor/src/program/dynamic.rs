//! Programs whose list of jobs is known at run time only.

use std::{borrow::Cow, time::Duration};

use serde::Serialize;
use serde_json::value::RawValue;

use super::Options;
use crate::{
    error::{Error, ErrorKind, Result},
    job::Job,
    json::{self, DataError},
};

/// Everything that is a program: [`Program`](super::Program), [`DynProgram`], and the data of
/// a job that needs neither program data nor an earlier output.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a program",
    label = "not a program by itself",
    note = "a job that reads program data or an earlier output needs a program around it: \
            `Program::new(data).then(…)`"
)]
pub trait IntoProgram: Sized {
    /// The kind of program it is.
    type Typed: IntoProgram + Erase;

    /// The program; of a job's data, the program of that one job.
    fn into_program(self) -> Self::Typed;

    /// The program without its types, as loops and branches need it.
    fn erase(self) -> DynProgram {
        self.into_program().into_erased()
    }
}

/// What a kind of program is made of; an implementation detail of [`IntoProgram`].
pub trait Erase {
    #[doc(hidden)]
    fn into_erased(self) -> DynProgram;

    #[doc(hidden)]
    fn options(&mut self) -> &mut Options;
}

/// A program that is built in loops and branches, or comes as data: checked when it is created
/// (or by [`check`](DynProgram::check)), as the compiler checks a [`Program`](super::Program).
///
/// ```
/// use executor::{DynProgram, prelude::*};
///
/// #[job]
/// async fn greet(name: String) -> Result<(), JobError> {
///     println!("hello {name}");
///     Ok(())
/// }
///
/// let mut program = DynProgram::new(());
/// for name in ["Ada", "Grace"] {
///     program = program.then(Greet { name: name.to_owned() });
/// }
/// # let _ = program;
/// ```
#[derive(Debug)]
#[must_use = "a program does nothing until it is created: `.create(&executor).await?`"]
pub struct DynProgram {
    pub(super) data: std::result::Result<Box<RawValue>, DataError>,
    pub(super) jobs: Vec<Entry>,
    pub(super) options: Options,
    /// Whether the compiler has checked its jobs.
    typed: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Cow<'static, str>,
    pub(super) data: std::result::Result<Box<RawValue>, DataError>,
    /// Other workers have the job, and this process need not know it.
    pub(super) external: bool,
}

impl DynProgram {
    /// A program without jobs yet.
    pub fn new(data: impl Serialize) -> Self {
        Self {
            typed: false,
            ..Self::of_typed(&data)
        }
    }

    pub(super) fn of_typed(data: &impl Serialize) -> Self {
        Self {
            data: json::write(data),
            jobs: Vec::new(),
            options: Options::default(),
            typed: true,
        }
    }

    /// Adds a job at the end.
    pub fn then(mut self, job: impl Job) -> Self {
        self.typed = false;
        self.push(&job);
        self
    }

    /// Adds a job by its name, with its data as JSON.
    pub fn then_named(self, name: impl Into<String>, data: &impl Serialize) -> Self {
        self.push_named(name.into(), data, false)
    }

    /// Adds a job that other workers have and this process lacks, as those of another service's or of
    /// program-executor's: nothing of it is checked. A worker that lacks it leaves it to them.
    pub fn then_external(self, name: impl Into<String>, data: &impl Serialize) -> Self {
        self.push_named(name.into(), data, true)
    }

    fn push_named(mut self, name: String, data: &impl Serialize, external: bool) -> Self {
        self.typed = false;
        self.jobs.push(Entry {
            name: Cow::Owned(name),
            data: json::write(data),
            external,
        });
        self
    }

    pub(super) fn push<J: Job>(&mut self, job: &J) {
        self.jobs.push(Entry {
            name: Cow::Borrowed(J::NAME),
            data: json::write(job),
            external: false,
        });
    }

    /// Adds to its attributes; what was there under these names goes.
    pub(crate) fn add_attributes(&mut self, fields: Vec<(&str, String)>) {
        let old = self.options.attributes.take();
        let mut all = match &old {
            None => json::RawMap::new(),
            Some(Ok(raw)) => match json::read_map(raw.get()) {
                Ok(all) => all,
                // What is no object is refused when the program is created.
                Err(_) => return self.options.attributes = old,
            },
            Some(Err(_)) => return self.options.attributes = old,
        };
        for (name, value) in fields {
            match json::write(&value) {
                Ok(value) => drop(all.insert(name.to_owned(), value)),
                Err(error) => return self.options.attributes = Some(Err(error)),
            }
        }
        self.options.attributes = Some(json::write(&all));
    }

    /// Whether it can be created: every job is registered or external, its data fits, and each output that
    /// it needs is made before.
    ///
    /// # Errors
    /// What is wrong with it, with the job, the field's path and the known names.
    pub fn check(&self) -> Result<()> {
        super::check::check(self)
    }

    /// The program, ready to be stored.
    pub(crate) fn checked(self) -> Result<Checked> {
        if self.jobs.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidProgram,
                "a program needs at least one job; add one with `.then(…)`",
            ));
        }
        if !self.typed {
            self.check()?;
        }
        check_keys(&self.options)?;
        let invalid =
            |what: &str, e: DataError| Error::new(ErrorKind::InvalidData, format!("{what}: {e}"));
        let program_data = self.data.map_err(|e| invalid("program data", e))?;
        let mut jobs = Vec::with_capacity(self.jobs.len());
        let mut data = json::RawMap::new();
        let mut runs = super::check::Runs::default();
        for entry in self.jobs {
            let key = runs.key(&entry.name);
            let raw = entry
                .data
                .map_err(|e| invalid(&format!("job {key:?}"), e))?;
            if raw.get() != "{}" {
                data.insert(key.into_owned(), raw);
            }
            jobs.push(entry.name);
        }
        let attributes = match self.options.attributes {
            None => "{}".to_owned(),
            Some(Ok(raw)) if raw.get().starts_with('{') => raw.get().to_owned(),
            Some(Ok(_)) => {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "attributes must be an object",
                ));
            }
            Some(Err(e)) => return Err(invalid("attributes", e)),
        };
        for (what, text) in [
            ("queue", &self.options.queue),
            ("unique key", &self.options.unique_key),
        ] {
            if let Some(text) = text {
                check_label(what, text)?;
            }
        }
        Ok(Checked {
            jobs,
            program_data: program_data.get().to_owned(),
            job_data: json::map_text(&data),
            attributes,
            options: Options {
                attributes: None,
                ..self.options
            },
        })
    }
}

/// Whether its keys can be meant together.
fn check_keys(options: &Options) -> Result<()> {
    let refused = |text: &str| Err(Error::new(ErrorKind::InvalidProgram, text));
    if options.replace && options.unique_key.is_none() {
        return refused("`replace` is for a program with a unique key; add `.unique(key)`");
    }
    let Some(unique_for) = &options.unique_for else {
        return Ok(());
    };
    check_label("unique key", &unique_for.key)?;
    if options.unique_key.is_some() {
        return refused("a program is unique by `unique` or by `unique_for`, not by both");
    }
    if unique_for.period < Duration::from_millis(1) {
        return refused("`unique_for` needs a time of at least a millisecond");
    }
    Ok(())
}

fn check_label(what: &str, text: &str) -> Result<()> {
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() > 255 {
        "is longer than 255 bytes"
    } else if text.contains('\0') {
        "has the character U+0000"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::InvalidProgram,
        format!("the program's {what} {problem}"),
    ))
}

impl IntoProgram for DynProgram {
    type Typed = Self;

    fn into_program(self) -> Self {
        self
    }
}

impl Erase for DynProgram {
    fn into_erased(self) -> DynProgram {
        self
    }

    fn options(&mut self) -> &mut Options {
        &mut self.options
    }
}

/// A program that can be stored as it is.
#[derive(Debug)]
pub(crate) struct Checked {
    /// At least one.
    pub(crate) jobs: Vec<Cow<'static, str>>,
    pub(crate) program_data: String,
    pub(crate) job_data: String,
    pub(crate) attributes: String,
    pub(crate) options: Options,
}
