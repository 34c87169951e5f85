//! What must hold between the options and the function.

use std::collections::HashSet;

use syn::{Ident, Path, Type};

use super::{
    args::Args,
    field::Field,
    model::{Model, Parameter, Role},
};
use crate::{errors::Errors, function::Function};

/// A job that can be expanded.
pub(crate) struct Job<'f> {
    pub(crate) function: &'f Function,
    pub(crate) args: Args,
    pub(crate) struct_name: Ident,
    pub(crate) returns: &'f Type,
    pub(crate) parameters: Vec<Parameter<'f>>,
}

impl<'f> Job<'f> {
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field<'f>> {
        fields(&self.parameters)
    }

    pub(crate) fn program_data(&self) -> Option<&'f Type> {
        self.types(|role| matches!(role, Role::ProgramData)).next()
    }

    /// The types of the parameters of a role.
    pub(crate) fn types(&self, role: fn(&Role<'_>) -> bool) -> impl Iterator<Item = &'f Type> {
        self.parameters
            .iter()
            .filter(move |it| role(&it.role))
            .map(|it| it.ty)
    }
}

pub(crate) fn check<'f>(
    function: &'f Function,
    args: Args,
    model: Model<'f>,
    mut errors: Errors,
) -> Result<Job<'f>, Errors> {
    function.check("a job", "Result<(), JobError>", &mut errors);
    check_async(function, &args, &mut errors);
    check_once(
        "ProgramData",
        &model,
        |role| matches!(role, Role::ProgramData),
        &mut errors,
    );
    check_once(
        "Context",
        &model,
        |role| matches!(role, Role::Context),
        &mut errors,
    );
    check_keys(&model, &mut errors);
    check_derives(&args, &model, &mut errors);
    match model {
        Model {
            struct_name: Some(struct_name),
            returns: Some(returns),
            parameters,
        } if errors.is_empty() => Ok(Job {
            function,
            args,
            struct_name,
            returns,
            parameters,
        }),
        _ => Err(errors),
    }
}

fn check_async(function: &Function, args: &Args, errors: &mut Errors) {
    match function.sig.asyncness {
        Some(keyword) if args.blocking => {
            errors.at(
                keyword,
                "a `blocking` job is a plain `fn`: remove `async`, or else `blocking`",
            );
        }
        None if !args.blocking => {
            let keyword = function.sig.fn_token;
            errors.at(
                keyword,
                "a job is an `async fn`: write `async`, or `#[job(blocking)]` for code that blocks",
            );
        }
        _ => {}
    }
}

fn check_once(name: &str, model: &Model<'_>, role: fn(&Role<'_>) -> bool, errors: &mut Errors) {
    for parameter in model.parameters.iter().filter(|it| role(&it.role)).skip(1) {
        errors.at(
            parameter.ty,
            format!("a job takes one `{name}`: remove the second"),
        );
    }
}

fn check_keys(model: &Model<'_>, errors: &mut Errors) {
    let mut keys = HashSet::new();
    for field in fields(&model.parameters) {
        let key = field.key();
        if keys.contains(&key) {
            errors.at(
                field.ident,
                format!("another field has the key `{key}` already: rename one of them"),
            );
        }
        keys.insert(key);
    }
}

/// Derives that would clash with what the expansion has, and give an error that doesn't say so.
fn check_derives(args: &Args, model: &Model<'_>, errors: &mut Errors) {
    let has_default = !fields(&model.parameters).any(Field::required);
    for derive in &args.derives {
        if ends_in(derive, "Serialize") || ends_in(derive, "Deserialize") {
            errors.at(derive, "every job has serde's traits: remove it");
        } else if ends_in(derive, "Default") && has_default {
            errors.at(
                derive,
                "a job without required fields has `Default`: remove it",
            );
        }
    }
}

fn ends_in(path: &Path, name: &str) -> bool {
    path.segments
        .last()
        .is_some_and(|segment| segment.ident == name)
}

fn fields<'p, 'f>(parameters: &'p [Parameter<'f>]) -> impl Iterator<Item = &'p Field<'f>> {
    parameters
        .iter()
        .filter_map(|parameter| match &parameter.role {
            Role::Field(field) => Some(field),
            _ => None,
        })
}
