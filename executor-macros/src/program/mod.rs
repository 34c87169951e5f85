//! `#[program]`

use proc_macro2::TokenStream;
use quote::quote;

use crate::{errors::Errors, function::Function};

mod args;
mod check;
mod expand;
mod model;
mod schedule;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::read(item) {
        Ok(function) => function,
        Err(item_and_error) => return item_and_error,
    };
    let mut errors = Errors::default();
    let args = args::Args::parse(args, &mut errors);
    let arguments = model::read(&function, &mut errors);
    let generated = match check::check(&function, args, arguments, errors) {
        Ok(program) => expand::expand(&program),
        Err(errors) => errors.into_compile_errors(),
    };
    quote!(#function #generated)
}

#[cfg(test)]
mod tests;
