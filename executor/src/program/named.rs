//! Programs with a name: what `#[program]` registers.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    pin::Pin,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{DynProgram, IntoProgram, ProgramExt};
use crate::{
    error::{Error, ErrorKind, Result},
    json,
    schedule::Slot,
    suggest,
};

/// A program being made.
pub type ProgramFuture = Pin<Box<dyn Future<Output = Result<DynProgram>> + Send>>;

/// A function under `#[program]`.
pub struct ProgramDefinition {
    #[doc(hidden)]
    pub name: &'static str,
    #[doc(hidden)]
    pub doc: &'static str,
    #[doc(hidden)]
    pub file: &'static str,
    #[doc(hidden)]
    pub line: u32,
    #[doc(hidden)]
    pub arguments: &'static [Argument],
    #[doc(hidden)]
    pub build: fn(Arguments) -> ProgramFuture,
}

/// An argument of a named program.
#[derive(Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// The parameter's documentation.
    pub doc: &'static str,
    /// Its type as written.
    pub ty: &'static str,
    /// Whether it must be given.
    pub kind: ArgumentKind,
}

/// Whether an argument must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// It must.
    Required,
    /// An `Option`: `None` when left out.
    Optional,
    /// A `bool`: `false` when left out.
    Flag,
}

inventory::collect!(ProgramDefinition);

impl ProgramDefinition {
    /// The program's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The function's documentation.
    pub fn doc(&self) -> &'static str {
        self.doc
    }

    /// Its arguments, in order.
    pub fn arguments(&self) -> &'static [Argument] {
        self.arguments
    }

    /// `file:line` of its function.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// Makes the program from its arguments.
    ///
    /// # Errors
    /// An argument is unknown, missing or ill-typed, or the function's own error.
    pub async fn make(&self, arguments: Arguments) -> Result<DynProgram> {
        if let Some(unknown) = arguments
            .given
            .keys()
            .find(|name| !self.arguments.iter().any(|a| a.name == **name))
        {
            let hint = suggest::hint(unknown, self.arguments.iter().map(|a| a.name));
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("program {:?} has no argument {unknown:?}{hint}", self.name),
            ));
        }
        let mut program = (self.build)(arguments).await?;
        if program.options.name.is_none() {
            program = program.named(self.name);
        }
        Ok(program)
    }
}

/// The named programs of this binary.
pub struct Programs(HashMap<&'static str, &'static ProgramDefinition>);

impl Programs {
    /// All programs that are linked into this binary.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateName`] when two have one name: the text names both places.
    pub fn collect() -> Result<Self> {
        let mut programs: HashMap<&'static str, &'static ProgramDefinition> = HashMap::new();
        for program in inventory::iter::<ProgramDefinition>() {
            match programs.entry(program.name) {
                Entry::Vacant(entry) => drop(entry.insert(program)),
                Entry::Occupied(entry) => {
                    return Err(Error::new(
                        ErrorKind::DuplicateName,
                        format!(
                            "two programs are named {:?}: at {} and at {}; give one of them \
                             another name",
                            program.name,
                            entry.get().place(),
                            program.place(),
                        ),
                    ));
                }
            }
        }
        Ok(Self(programs))
    }

    /// The program of this name.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownProgram`], with the known names and the nearest one.
    pub fn require(&self, name: &str) -> Result<&'static ProgramDefinition> {
        self.0.get(name).copied().ok_or_else(|| {
            let hint = suggest::hint(name, self.0.keys().copied());
            Error::new(
                ErrorKind::UnknownProgram,
                format!("no program is named {name:?}{hint}"),
            )
        })
    }

    /// All programs, by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static ProgramDefinition> {
        let mut all: Vec<_> = self.0.values().copied().collect();
        all.sort_unstable_by_key(|program| program.name);
        all.into_iter()
    }
}

/// What a named program is started with.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    given: BTreeMap<String, Given>,
    slot: Option<Slot>,
}

#[derive(Clone, Debug)]
enum Given {
    /// From a command line: JSON if it reads as what is wanted, else a string.
    Text(String),
    Json(Value),
}

impl Arguments {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With an argument as people type it: read as JSON, else as a string.
    pub fn text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.given.insert(name.into(), Given::Text(text.into()));
        self
    }

    /// With an argument as JSON.
    pub fn json(mut self, name: impl Into<String>, value: Value) -> Self {
        self.given.insert(name.into(), Given::Json(value));
        self
    }

    /// With the slot for which a schedule starts the program, for the arguments that ask for it.
    pub(crate) fn with_slot(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }

    pub(crate) fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// Takes an argument that must be there.
    ///
    /// # Errors
    /// It is missing, or no `T`.
    #[doc(hidden)]
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T> {
        self.take_optional(name)?.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidData,
                format!("the argument {name:?} is missing"),
            )
        })
    }

    /// Takes an argument that may be left out.
    ///
    /// # Errors
    /// It is no `T`.
    #[doc(hidden)]
    pub fn take_optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>> {
        let invalid = |e: &dyn std::fmt::Display| {
            Error::new(
                ErrorKind::InvalidData,
                format!("the argument {name:?}: {e}"),
            )
        };
        match self.given.remove(name) {
            None | Some(Given::Json(Value::Null)) => Ok(None),
            Some(Given::Json(value)) => json::read(&value.to_string())
                .map(Some)
                .map_err(|e| invalid(&e)),
            Some(Given::Text(text)) => {
                let as_json = match serde_json::from_str::<Value>(&text) {
                    Ok(_) => json::read(&text).map(Some),
                    Err(_) => json::read(&Value::String(text.clone()).to_string()).map(Some),
                };
                // `7` for a `String` reads as JSON and is no string: take it as it was typed.
                as_json.or_else(|error| {
                    json::read(&Value::String(text).to_string())
                        .map(Some)
                        .map_err(|_| invalid(&error))
                })
            }
        }
    }

    /// Takes a flag.
    ///
    /// # Errors
    /// It is neither `true` nor `false`.
    #[doc(hidden)]
    pub fn take_flag(&mut self, name: &'static str) -> Result<bool> {
        Ok(self.take_optional(name)?.unwrap_or(false))
    }
}

/// What a function under `#[program]` returns.
#[diagnostic::on_unimplemented(
    message = "a `#[program]` function must return a program, and this one returns `{Self}`",
    label = "return `impl IntoProgram`, or a `Result` of it",
    note = "the error of a `Result` must be `executor::Error`, or one that `?` takes into it: any \
            `std::error::Error + Send + Sync + 'static`"
)]
pub trait ProgramReturn {
    /// The program, or why there is none.
    ///
    /// # Errors
    /// The function's own.
    fn into_program(self) -> Result<DynProgram>;
}

impl<P: IntoProgram> ProgramReturn for P {
    fn into_program(self) -> Result<DynProgram> {
        Ok(self.erase())
    }
}

impl<P: IntoProgram, E: Into<Error>> ProgramReturn for std::result::Result<P, E> {
    fn into_program(self) -> Result<DynProgram> {
        self.map(IntoProgram::erase).map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_json_and_else_as_a_string() {
        let mut given = Arguments::new()
            .text("id", "7")
            .text("name", "7")
            .text("segment", "vip");
        assert_eq!(given.take::<u64>("id").expect("a number"), 7);
        assert_eq!(given.take::<String>("name").expect("a string"), "7");
        assert_eq!(given.take::<String>("segment").expect("a string"), "vip");
        let error = given.take::<u64>("id").expect_err("it was taken");
        assert_eq!(error.to_string(), "the argument \"id\" is missing");
    }

    #[test]
    fn a_wrong_type_names_the_argument() {
        let mut given = Arguments::new().text("id", "vip");
        let error = given.take::<u64>("id").expect_err("no number");
        assert!(
            error
                .to_string()
                .starts_with("the argument \"id\": invalid type"),
            "{error}"
        );
    }
}
