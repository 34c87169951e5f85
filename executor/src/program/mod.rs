//! Programs: ordered lists of jobs with data.

mod check;
mod dynamic;
mod list;
mod named;
mod options;

use std::marker::PhantomData;

use serde::Serialize;

#[cfg(test)]
pub(crate) use self::options::UniqueFor;
pub(crate) use self::{
    dynamic::Checked,
    options::{Options, Start},
};
pub use self::{
    dynamic::{DynProgram, Erase, IntoProgram},
    list::{Contains, NoProgramData, Reads, RunsAfter, RunsIn},
    named::{
        Argument, ArgumentKind, Arguments, ProgramDefinition, ProgramFuture, ProgramReturn,
        Programs,
    },
    options::ProgramExt,
};
use crate::job::Job;

/// An ordered list of jobs with data, whose order the compiler has checked.
///
/// `D` is the type of its program data; `L`, which nobody writes, lists the jobs so far.
///
/// ```
/// use executor::prelude::*;
///
/// #[job]
/// async fn count(text: String) -> Result<usize, JobError> {
///     Ok(text.len())
/// }
///
/// #[job]
/// async fn report(length: Output<Count>) -> Result<(), JobError> {
///     println!("{} characters", *length);
///     Ok(())
/// }
///
/// let program = Program::new(())
///     .then(Count { text: "to be counted".to_owned() })
///     .then(Report::default())
///     .queue("reports");
/// # let _ = program;
/// ```
///
/// A job before the one whose output it needs does not compile:
///
/// ```compile_fail
/// # use executor::prelude::*;
/// # #[job] async fn count(text: String) -> Result<usize, JobError> { Ok(text.len()) }
/// # #[job] async fn report(length: Output<Count>) -> Result<(), JobError> { Ok(()) }
/// let program = Program::new(()).then(Report::default());
/// ```
#[must_use = "a program does nothing until it is created: `.create(&executor).await?`"]
pub struct Program<D, L = ()> {
    erased: DynProgram,
    list: PhantomData<fn() -> (D, L)>,
}

impl<D: Serialize> Program<D> {
    /// A program without jobs yet, with the data that all its jobs can read.
    ///
    /// `()` stands for none.
    pub fn new(data: D) -> Self {
        Self {
            erased: DynProgram::of_typed(&data),
            list: PhantomData,
        }
    }
}

impl<D, L> Program<D, L> {
    /// Adds a job at the end.
    pub fn then<J, WhichRun>(mut self, job: J) -> Program<D, (J, L)>
    where
        J: Job<ProgramData: Reads<D>>,
        // The next line is all that the compiler can be made to say of an output that two jobs of the list make.
        J: RunsAfter<L, WhichRun>, // not inferred? a job stands twice: add its second run with `then_again`
    {
        self.erased.push(&job);
        Program {
            erased: self.erased,
            list: PhantomData,
        }
    }

    /// Adds a job that is in the list already: `Output<J>` reads its nearest earlier run.
    ///
    /// A second [`then`](Program::then) of the same job would leave the compiler two places at
    /// which the output could be made, and it would ask which one is meant.
    pub fn then_again<J, WhichRun, Earlier>(mut self, job: J) -> Self
    where
        J: Job<ProgramData: Reads<D>> + RunsAfter<L, WhichRun> + RunsIn<L, Earlier>,
    {
        self.erased.push(&job);
        self
    }

    /// Adds a job only when `condition` holds. Jobs after it read its output as
    /// `Option<Output<J>>`.
    pub fn then_if<J, WhichRun>(mut self, condition: bool, job: J) -> Self
    where
        J: Job<ProgramData: Reads<D>> + RunsAfter<L, WhichRun>,
    {
        if condition {
            self.erased.push(&job);
        }
        self
    }

    /// Adds a job for each item. Jobs after them read the last one's output as
    /// `Option<Output<J>>`.
    pub fn then_each<J, WhichRun>(mut self, jobs: impl IntoIterator<Item = J>) -> Self
    where
        J: Job<ProgramData: Reads<D>> + RunsAfter<L, WhichRun>,
    {
        for job in jobs {
            self.erased.push(&job);
        }
        self
    }
}

impl<D, L> IntoProgram for Program<D, L> {
    type Typed = Self;

    fn into_program(self) -> Self {
        self
    }
}

impl<D, L> Erase for Program<D, L> {
    fn into_erased(self) -> DynProgram {
        self.erased
    }

    fn options(&mut self) -> &mut Options {
        self.erased.options()
    }
}
