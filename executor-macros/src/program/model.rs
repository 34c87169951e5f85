//! What a program's arguments are.

use syn::{PatType, Type, ext::IdentExt};

use crate::{
    docs,
    errors::Errors,
    function::{Function, plain_name},
    types,
};

pub(crate) struct Argument<'f> {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) ty: &'f Type,
    pub(crate) kind: Kind<'f>,
}

pub(crate) enum Kind<'f> {
    Required,
    /// With what it is if it is there.
    Optional(&'f Type),
    Flag,
}

pub(crate) fn read<'f>(function: &'f Function, errors: &mut Errors) -> Vec<Argument<'f>> {
    function
        .parameters()
        .filter_map(|parameter| Argument::read(parameter, errors))
        .collect()
}

impl<'f> Argument<'f> {
    fn read(parameter: &'f PatType, errors: &mut Errors) -> Option<Self> {
        let PatType { attrs, pat, ty, .. } = parameter;
        types::Owned::Parameter.check(ty, errors);
        check_plain_data(ty, errors);
        for attribute in attrs {
            if attribute.path().is_ident("serde") {
                errors.at(
                    attribute,
                    "a program's argument takes no `serde` attribute: give its type what it needs",
                );
            } else if attribute.path().is_ident("cfg") {
                errors.at(
                    attribute,
                    "a program's argument can't depend on `cfg`: put it on the whole function",
                );
            }
        }
        let Some(name) = plain_name(pat) else {
            errors.at(
                pat,
                "an argument needs a name: write `name: Type`, and take it apart in the body",
            );
            return None;
        };
        Some(Self {
            name: name.unraw().to_string(),
            doc: docs::text(attrs),
            ty,
            kind: Kind::of(ty),
        })
    }
}

impl Argument<'_> {
    /// Whether it gets the time for which a schedule starts the program.
    pub(crate) fn is_slot(&self) -> bool {
        match self.kind {
            Kind::Required => types::is(self.ty, "Slot"),
            Kind::Optional(inner) => types::is(inner, "Slot"),
            Kind::Flag => false,
        }
    }
}

impl<'f> Kind<'f> {
    fn of(ty: &'f Type) -> Self {
        match types::only_argument(ty) {
            Some(inner) if types::is(ty, "Option") => Self::Optional(inner),
            _ if types::is(ty, "bool") => Self::Flag,
            _ => Self::Required,
        }
    }
}

fn check_plain_data(ty: &Type, errors: &mut Errors) {
    for of_jobs in ["ProgramData", "Output", "Saved", "State", "Context", "Tx"] {
        if types::is(ty, of_jobs) {
            errors.at(
                ty,
                format!("`{of_jobs}` is for jobs: a program is built from plain arguments"),
            );
        }
    }
}
