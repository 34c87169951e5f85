//! What the compiler checks of a program: that its data is of the type its jobs read, and that
//! each output is made before it is read.
//!
//! A list is `(Last, (Earlier, (First, ())))`. Where a job stands in it is the index type `I`,
//! which the compiler infers: [`Here`], or [`There`] of an index into the rest.

use std::marker::PhantomData;

/// That a job can stand in a program whose data is a `D`.
#[diagnostic::on_unimplemented(
    message = "the job `{Self}` reads program data of another type than this program's `{D}`",
    label = "this job's function asks for `ProgramData` of another type",
    note = "start the program with the data that the job reads: `Program::new(data)`"
)]
pub trait ReadsData<D> {}

/// That a job's outputs are all made by the jobs of the list `L`; the index types are inferred.
pub trait RunsAfter<L, I> {}

/// That the job `J` is in this list, at the place `I`.
#[diagnostic::on_unimplemented(
    message = "this job needs the output of `{J}`, and no earlier job of the program is `{J}`",
    label = "add `.then({J} {{ … }})` before this job",
    note = "where `{J}` may be left out, the function can ask for `Option<Output<{J}>>`"
)]
pub trait Contains<J, I> {}

/// The index of a list's last job.
#[doc(hidden)]
pub struct Here;

/// The index of an earlier job.
#[doc(hidden)]
pub struct There<I>(PhantomData<I>);

impl<J, L> Contains<J, Here> for (J, L) {}

impl<J, H, L: Contains<J, I>, I> Contains<J, There<I>> for (H, L) {}
