//! What must hold of a program's function.

use super::{args::Args, model::Argument};
use crate::{errors::Errors, function::Function};

/// A program that can be expanded.
pub(crate) struct Program<'f> {
    pub(crate) function: &'f Function,
    pub(crate) args: Args,
    pub(crate) arguments: Vec<Argument<'f>>,
}

pub(crate) fn check<'f>(
    function: &'f Function,
    args: Args,
    arguments: Vec<Argument<'f>>,
    mut errors: Errors,
) -> Result<Program<'f>, Errors> {
    function.check("a program", "impl IntoProgram", &mut errors);
    if errors.is_empty() {
        Ok(Program {
            function,
            args,
            arguments,
        })
    } else {
        Err(errors)
    }
}
