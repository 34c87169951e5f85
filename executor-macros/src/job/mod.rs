//! `#[job]`

use proc_macro2::TokenStream;
use quote::quote;

use crate::{errors::Errors, function::Function};

mod args;
mod check;
mod expand;
mod field;
mod model;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::read(item) {
        Ok(function) => function,
        Err(item_and_error) => return item_and_error,
    };
    let mut errors = Errors::default();
    let args = args::Args::parse(args, &mut errors);
    let model = model::Model::read(&function, &mut errors);
    let job = check::check(&function, args, model, &mut errors);
    let generated = job.map(|job| expand::expand(&job));
    let errors = errors.into_compile_errors();
    quote!(#function #generated #errors)
}

#[cfg(test)]
mod tests;
