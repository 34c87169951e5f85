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
    pub(crate) parameters: Vec<Parameter<'f>>,
    /// None where the function can't be called as a job: then the struct is there for the code that uses it, lest one
    /// mistake make errors all over the place.
    pub(crate) returns: Option<&'f Type>,
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

/// Mistakes in the options leave a whole job, those in the signature its struct, and those in the data nothing.
pub(crate) fn check<'f>(
    function: &'f Function,
    args: Args,
    model: Model<'f>,
    errors: &mut Errors,
) -> Option<Job<'f>> {
    let before = errors.count();
    function.check("a job", "Result<(), JobError>", errors);
    check_async(function, &args, errors);
    let callable = errors.count() == before;
    let Model {
        struct_name,
        returns,
        parameters,
        whole,
    } = model;
    let before = errors.count();
    check_once(
        "ProgramData",
        &parameters,
        |role| matches!(role, Role::ProgramData),
        errors,
    );
    check_once(
        "Context",
        &parameters,
        |role| matches!(role, Role::Context),
        errors,
    );
    check_once("Tx", &parameters, |role| matches!(role, Role::Tx), errors);
    check_tx(&args, &parameters, errors);
    check_keys(&parameters, errors);
    check_limits(&args, &parameters, errors);
    check_derives(&args, &parameters, errors);
    let makes_struct = whole && errors.count() == before && function.is_free();
    Some(Job {
        function,
        args,
        struct_name: struct_name.filter(|_| makes_struct)?,
        parameters,
        returns: returns.filter(|_| callable),
    })
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

fn check_once(
    name: &str,
    parameters: &[Parameter<'_>],
    role: fn(&Role<'_>) -> bool,
    errors: &mut Errors,
) {
    for parameter in parameters.iter().filter(|it| role(&it.role)).skip(1) {
        errors.at(
            parameter.ty,
            format!("a job takes one `{name}`: remove the second"),
        );
    }
}

/// Its connection is asynchronous, and its transaction ends when the body can be ended.
fn check_tx(args: &Args, parameters: &[Parameter<'_>], errors: &mut Errors) {
    let tx = parameters.iter().find(|it| matches!(it.role, Role::Tx));
    if let (true, Some(tx)) = (args.blocking, tx) {
        errors.at(
            tx.ty,
            "a `blocking` job can't have a `Tx`: make it an `async fn`, without `blocking`",
        );
    }
}

fn check_keys(parameters: &[Parameter<'_>], errors: &mut Errors) {
    let mut keys = HashSet::new();
    for field in fields(parameters) {
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

/// A key without a limit, a burst without a rate, and a key that is no field.
fn check_limits(args: &Args, parameters: &[Parameter<'_>], errors: &mut Errors) {
    if let (Some(burst), None) = (&args.burst, &args.rate) {
        errors.at(
            burst,
            "`burst` belongs to a rate: write `rate = \"100/min\"` beside it",
        );
    }
    let Some(key) = &args.limit_key else {
        return;
    };
    if args.rate.is_none() && args.concurrency_global.is_none() {
        errors.at(
            key,
            "a key needs something to limit: write `concurrency_global = 4` or \
             `rate = \"100/min\"` beside it",
        );
    }
    let name = key.value();
    let reads_program = parameters
        .iter()
        .any(|it| matches!(it.role, Role::ProgramData));
    let known: Vec<String> = fields(parameters).map(Field::key).collect();
    if !reads_program && !known.contains(&name) {
        let known = match known.as_slice() {
            [] => "it has none".to_owned(),
            known => format!("its fields: `{}`", known.join("`, `")),
        };
        errors.at(
            key,
            format!(
                "the job has no field `{name}` ({known}), and does not take its `ProgramData`: \
                 name a field of one of them"
            ),
        );
    }
}

/// Derives that would clash with what the expansion has, and give an error that doesn't say so.
fn check_derives(args: &Args, parameters: &[Parameter<'_>], errors: &mut Errors) {
    let has_default = !fields(parameters).any(Field::required);
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
