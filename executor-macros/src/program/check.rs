//! What must hold of a program's function.

use super::{
    args::Args,
    model::{Argument, Kind},
};
use crate::{docs, errors::Errors, function::Function};

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
    if args.schedule.is_some() {
        for argument in &arguments {
            check_comes_by_itself(argument, &mut errors);
        }
    }
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

/// A schedule knows its slot, and nothing else.
fn check_comes_by_itself(argument: &Argument<'_>, errors: &mut Errors) {
    let Argument { name, ty, kind, .. } = argument;
    if matches!(kind, Kind::Required) && !argument.is_slot() {
        let ty_text = docs::type_text(ty);
        errors.at(
            ty,
            format!(
                "a schedule starts this program, and nobody gives it `{name}`: write \
                 `{name}: Option<{ty_text}>`"
            ),
        );
    }
}
