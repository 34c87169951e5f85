//! What can be told from a type's tokens.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{GenericArgument, Path, PathArguments, PathSegment, Type};

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

/// The first and the last token of a type. What is generated around a type has these spans, as the compiler then shows
/// the type from end to end, and nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    first: Span,
    last: Span,
}

impl Ends {
    pub(crate) fn of(ty: &Type) -> Self {
        let mut spans = ty.to_token_stream().into_iter().map(|token| token.span());
        let first = spans.next().unwrap_or_else(Span::call_site);
        let last = spans.last().unwrap_or(first);
        Self { first, last }
    }

    /// `<#ty as #krate::__private::#kind>::#item`
    pub(crate) fn item(self, ty: &Type, kind: &str, item: &str, krate: &Path) -> TokenStream {
        let Self { first, last } = self;
        let (kind, item) = (Ident::new(kind, last), Ident::new(item, last));
        let open = quote_spanned!(first=> <);
        quote_spanned!(last=> #open #ty as #krate::__private::#kind>::#item)
    }
}

/// An item of the trait that tells a parameter's type from another one of its name.
pub(crate) fn item(ty: &Type, kind: &str, item: &str, krate: &Path) -> TokenStream {
    Ends::of(ty).item(ty, kind, item, krate)
}

/// The call of such an item.
pub(crate) fn call(
    ty: &Type,
    kind: &str,
    item: &str,
    krate: &Path,
    arguments: &TokenStream,
) -> TokenStream {
    let ends = Ends::of(ty);
    let item = ends.item(ty, kind, item, krate);
    quote_spanned!(ends.last=> #item(#arguments))
}

/// Something that can't borrow, and needs a type with a name, as it goes through the store.
#[derive(Clone, Copy)]
pub(crate) enum Owned {
    Parameter,
    Output,
}

impl Owned {
    pub(crate) fn check(self, ty: &Type, errors: &mut Errors) {
        match ty {
            Type::Reference(reference) => {
                let owned = owned(&reference.elem);
                errors.at(ty, format!("{}: own it, `{owned}`", self.cant_borrow()));
            }
            Type::ImplTrait(_) => errors.at(ty, self.needs_a_name()),
            Type::Group(group) => self.check(&group.elem, errors),
            Type::Paren(paren) => self.check(&paren.elem, errors),
            Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| self.check(ty, errors)),
            Type::Array(array) => self.check(&array.elem, errors),
            Type::Path(_) => arguments(ty).for_each(|argument| match argument {
                GenericArgument::Type(ty) => self.check(ty, errors),
                GenericArgument::Lifetime(lifetime) if lifetime.ident != "static" => {
                    let advice = "write `'static`, or a type that owns what it holds";
                    errors.at(lifetime, format!("{}: {advice}", self.cant_borrow()));
                }
                _ => {}
            }),
            _ => {}
        }
    }

    fn cant_borrow(self) -> &'static str {
        match self {
            Self::Parameter => "a parameter can't borrow, as its value is made for the call",
            Self::Output => "a job's output can't borrow, as it goes into the store",
        }
    }

    fn needs_a_name(self) -> &'static str {
        match self {
            Self::Parameter => {
                "a parameter needs one type that can be read from the store: name it in place of `impl …`"
            }
            Self::Output => {
                "a job's output needs one type that can be stored: name it in place of `impl …`"
            }
        }
    }
}

/// `T` and `E` of a `Result<T, E>`, as far as they are written there.
pub(crate) fn result(returns: &Type) -> [Option<&Type>; 2] {
    let mut types = arguments(returns).filter_map(|argument| match argument {
        GenericArgument::Type(ty) if is(returns, "Result") => Some(ty),
        _ => None,
    });
    [types.next(), types.next()]
}

fn owned(borrowed: &Type) -> String {
    match borrowed {
        Type::Slice(slice) => format!("Vec<{}>", crate::docs::type_text(&slice.elem)),
        ty if is(ty, "str") => "String".to_owned(),
        ty => crate::docs::type_text(ty),
    }
}

fn arguments(ty: &Type) -> impl Iterator<Item = &GenericArgument> {
    let arguments = match last_segment(ty).map(|segment| &segment.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten()
}
