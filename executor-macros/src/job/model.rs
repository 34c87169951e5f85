//! What a job's function says: the name of its struct, what it returns, and what each parameter is.

use syn::{Ident, PatType, ReturnType, Type, ext::IdentExt};

use super::field::Field;
use crate::{
    cased,
    errors::Errors,
    function::Function,
    types::{self, Owned},
};

/// Parts that can't be read are missing, with their errors noted.
pub(crate) struct Model<'f> {
    pub(crate) struct_name: Option<Ident>,
    pub(crate) returns: Option<&'f Type>,
    pub(crate) parameters: Vec<Parameter<'f>>,
    /// Whether the types can stand in generated code.
    pub(crate) whole: bool,
}

pub(crate) struct Parameter<'f> {
    pub(crate) ty: &'f Type,
    pub(crate) role: Role<'f>,
}

pub(crate) enum Role<'f> {
    ProgramData,
    Output { required: bool },
    State,
    Context,
    Tx,
    Field(Field<'f>),
}

const PRIMITIVES: &[&str] = &[
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16",
    "u32", "u64", "u128", "usize",
];

impl<'f> Model<'f> {
    pub(crate) fn read(function: &'f Function, errors: &mut Errors) -> Self {
        let before = errors.count();
        let struct_name = cased::struct_name(&function.sig.ident, errors);
        let returns = match &function.sig.output {
            ReturnType::Type(_, ty) => Some(&**ty),
            ReturnType::Default => None,
        };
        if let Some([Some(success), _]) = returns.map(types::result) {
            Owned::Output.check(success, errors);
        }
        let parameters = function
            .parameters()
            .filter_map(|it| Parameter::read(it, errors))
            .collect();
        Self {
            struct_name,
            returns,
            parameters,
            whole: errors.count() == before,
        }
    }
}

impl<'f> Parameter<'f> {
    fn read(parameter: &'f PatType, errors: &mut Errors) -> Option<Self> {
        let ty = &*parameter.ty;
        let role = match special(ty, errors)? {
            Some(role) => {
                refuse_serde(parameter, errors);
                role
            }
            None => Role::Field(Field::read(parameter, errors)?),
        };
        Some(Self { ty, role })
    }
}

/// The role that the type's name gives. It may turn out to be another type of that name: the assertions in the
/// expansion see to that.
fn special<'f>(ty: &Type, errors: &mut Errors) -> Option<Option<Role<'f>>> {
    let Some(name) = types::last_segment(ty).map(|segment| segment.ident.to_string()) else {
        return Some(None);
    };
    let role = match name.as_str() {
        "ProgramData" => {
            if let Some(data) = types::only_argument(ty) {
                Owned::Parameter.check(data, errors);
            }
            Role::ProgramData
        }
        "Output" => output(ty, true, errors)?,
        "State" => Role::State,
        "Context" => Role::Context,
        "Tx" => Role::Tx,
        "Option" => return optional(ty, errors),
        _ => return Some(None),
    };
    Some(Some(role))
}

fn optional<'f>(ty: &Type, errors: &mut Errors) -> Option<Option<Role<'f>>> {
    let Some(inner) = types::only_argument(ty) else {
        return Some(None);
    };
    if types::is(inner, "Output") {
        return Some(Some(output(inner, false, errors)?));
    }
    for always_there in ["ProgramData", "State", "Context", "Tx"] {
        if types::is(inner, always_there) {
            errors.at(
                ty,
                format!("`{always_there}` is always there: take it without the `Option`"),
            );
            return None;
        }
    }
    if types::is(inner, "Saved") {
        errors.at(ty, "`Saved` begins with its default: write `Saved<Option<…>>` for a value that may be missing");
        return None;
    }
    Some(None)
}

/// `Output<count>`, with the function in place of the struct, would give an error that leads nowhere.
fn output<'f>(ty: &Type, required: bool, errors: &mut Errors) -> Option<Role<'f>> {
    let job = types::only_argument(ty).and_then(types::last_segment);
    let name = job.map(|segment| segment.ident.unraw().to_string());
    if let Some(name) = name.filter(|name| name.starts_with(char::is_lowercase)) {
        let advice = if PRIMITIVES.contains(&&*name) {
            "write the job that returns it, like `Output<CountContacts>`".to_owned()
        } else {
            let job = cased::upper_camel(&name);
            format!("write `Output<{job}>` for what `async fn {name}` returns")
        };
        let message = format!("`{name}` is not the struct of a job: {advice}");
        errors.at(job.map(|segment| &segment.ident), message);
        return None;
    }
    Some(Role::Output { required })
}

fn refuse_serde(parameter: &PatType, errors: &mut Errors) {
    for attribute in parameter
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        errors.at(
            attribute,
            "this parameter is no field of the job's data: remove the `serde` attribute",
        );
    }
}
