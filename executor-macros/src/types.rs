//! What can be told from a type's tokens.

use syn::{GenericArgument, PathArguments, PathSegment, Type};

use crate::errors::Errors;

/// The last segment of a path type. A type passed through `macro_rules!` comes in an invisible group.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

pub(crate) fn is(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// `T` of `Name<T>`, if that is all there is between the brackets.
pub(crate) fn only_argument(ty: &Type) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &last_segment(ty)?.arguments else {
        return None;
    };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(ty)), None) => Some(ty),
        _ => None,
    }
}

/// Data that is read from the store has no one to borrow from, and needs a type with a name.
pub(crate) fn check_owned(ty: &Type, errors: &mut Errors) {
    match ty {
        Type::Reference(reference) => {
            let owned = owned(&reference.elem);
            errors.at(
                ty,
                format!(
                    "a parameter can't borrow, as its value is made for the call: own it, `{owned}`"
                ),
            );
        }
        Type::ImplTrait(_) => {
            errors.at(
                ty,
                "a parameter needs one type that can be read from the store: name it \
                 in place of `impl …`",
            );
        }
        Type::Group(group) => check_owned(&group.elem, errors),
        Type::Paren(paren) => check_owned(&paren.elem, errors),
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| check_owned(ty, errors)),
        Type::Array(array) => check_owned(&array.elem, errors),
        Type::Path(_) => arguments(ty).for_each(|ty| check_owned(ty, errors)),
        _ => {}
    }
}

fn owned(borrowed: &Type) -> String {
    match borrowed {
        Type::Slice(slice) => format!("Vec<{}>", crate::docs::type_text(&slice.elem)),
        ty if is(ty, "str") => "String".to_owned(),
        ty => crate::docs::type_text(ty),
    }
}

fn arguments(ty: &Type) -> impl Iterator<Item = &Type> {
    let arguments = match last_segment(ty).map(|segment| &segment.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => Some(&arguments.args),
        _ => None,
    };
    arguments
        .into_iter()
        .flatten()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}
