//! What the compiler checks of a program: that its data is of the type its jobs read, and that
//! each output is made before it is read.
//!
//! A list is `(Last, (Earlier, (First, ())))`. Where a job stands in it is the index type `I`,
//! which the compiler infers: [`Here`], or [`There`] of an index into the rest.

use std::marker::PhantomData;

use crate::job::ProgramData;

/// That what a job reads of its program's data is there when the data is a `D`.
#[diagnostic::on_unimplemented(
    message = "this job reads `{Self}`, and the program's data is `{D}`",
    label = "this job reads `{Self}`",
    note = "a program begins with the data that all its jobs read: `Program::new(data)`"
)]
pub trait Reads<D> {}

impl<D> Reads<D> for ProgramData<D> {}

/// What a job reads that has no `ProgramData`: it can stand in any program.
#[doc(hidden)]
pub struct NoProgramData;

impl<D> Reads<D> for NoProgramData {}

/// That a job's outputs are all made by the jobs of the list `L`; the index types are inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "not the struct of a job's data"
)]
pub trait RunsAfter<L, I> {}

/// That the job `J` is in this list, at the place `I`.
#[diagnostic::on_unimplemented(
    message = "this job needs the output of `{J}`, and no earlier job of the program is `{J}`",
    label = "add `.then({J} {{ … }})` before this job",
    note = "where `{J}` may be absent (`then_if`, `then_each`), the function can ask for `Option<Output<{J}>>`"
)]
pub trait Contains<J, I> {}

/// That a job is in the list `L`, at the place `I`: [`Contains`] seen from the job.
///
/// A bound on the list would let the compiler conclude from a list of one job which job is meant, and complain of
/// another as of a wrong type.
#[diagnostic::on_unimplemented(
    message = "this program has no `{Self}` that could run again",
    label = "add its first run with `then`",
    note = "`then_again` is for the second run of a job, and those after it"
)]
pub trait RunsIn<L, I> {}

/// The index of a list's last job.
#[doc(hidden)]
pub struct Here;

/// The index of an earlier job.
#[doc(hidden)]
pub struct There<I>(PhantomData<I>);

// Which impls there are is of no use to those who have got the order of a program wrong.
#[diagnostic::do_not_recommend]
impl<J, L> Contains<J, Here> for (J, L) {}

#[diagnostic::do_not_recommend]
impl<J, H, L: Contains<J, I>, I> Contains<J, There<I>> for (H, L) {}

#[diagnostic::do_not_recommend]
impl<J, L: Contains<J, I>, I> RunsIn<L, I> for J {}
