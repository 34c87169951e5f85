//! A parameter that is a field of the job's data.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, ExprPath, Ident, LitStr, PatType, Path, Token, Type, ext::IdentExt,
    meta::ParseNestedMeta, parse::ParseStream, spanned::Spanned, token::Paren,
};

use crate::{
    errors::Errors,
    function::{is_moved, plain_name},
    types,
};

pub(crate) struct Field<'f> {
    pub(crate) ident: &'f Ident,
    /// The parameter's `doc` and `serde` attributes.
    pub(crate) attributes: Vec<&'f Attribute>,
    /// As a parameter: `Saved<u32>`.
    pub(crate) ty: &'f Type,
    pub(crate) saved: bool,
    serde: SerdeOptions,
}

impl<'f> Field<'f> {
    pub(crate) fn read(parameter: &'f PatType, errors: &mut Errors) -> Option<Self> {
        let PatType { attrs, pat, ty, .. } = parameter;
        types::check_owned(ty, errors);
        if let Some(cfg) = attrs
            .iter()
            .find(|attribute| attribute.path().is_ident("cfg"))
        {
            errors.at(
                cfg,
                "a job's data can't depend on `cfg`: put it on the whole function",
            );
        }
        let serde = SerdeOptions::read(attrs, errors);
        let Some(ident) = plain_name(pat) else {
            errors.at(
                pat,
                "a field of the job's data needs a name: write `name: Type`, \
                 and take it apart in the body",
            );
            return None;
        };
        let attributes = attrs
            .iter()
            .filter(|attribute| is_moved(attribute))
            .collect();
        Some(Self {
            ident,
            attributes,
            ty,
            saved: types::is(ty, "Saved"),
            serde,
        })
    }

    /// The name in JSON.
    pub(crate) fn key(&self) -> String {
        self.serde
            .rename
            .clone()
            .unwrap_or_else(|| self.ident.unraw().to_string())
    }

    pub(crate) fn required(&self) -> bool {
        !self.saved && self.serde.default.is_none() && !types::is(self.ty, "Option")
    }

    /// Whether serde must still be told that the field may be missing.
    pub(crate) fn needs_serde_default(&self) -> bool {
        !self.required() && self.serde.default.is_none()
    }

    /// `T` of `Saved<T>`, and the type itself of all others. `None` if only the trait can tell.
    pub(crate) fn stored(&self) -> Option<&'f Type> {
        if self.saved {
            types::only_argument(self.ty)
        } else {
            Some(self.ty)
        }
    }

    pub(crate) fn stored_type(&self, krate: &Path) -> TokenStream {
        let ty = self.ty;
        match self.stored() {
            Some(stored) => quote!(#stored),
            None => quote_spanned!(ty.span()=> <#ty as #krate::__private::SavedParam>::Value),
        }
    }

    /// The value that serde gives it when it is missing.
    pub(crate) fn default_value(&self) -> TokenStream {
        match &self.serde.default {
            Some(SerdeDefault::Path(path)) => quote!(#path()),
            _ => quote!(::core::default::Default::default()),
        }
    }
}

/// What the expansion must know of the `serde` attributes. All are passed on as they are.
#[derive(Default)]
struct SerdeOptions {
    rename: Option<String>,
    default: Option<SerdeDefault>,
}

enum SerdeDefault {
    Trait,
    Path(ExprPath),
}

impl SerdeOptions {
    fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("serde"))
        {
            errors.keep(attribute.parse_nested_meta(|meta| options.take(meta)));
        }
        options
    }

    // rename = "to"
    // default
    // default = "path::of::function"
    // others are serde's business, but for those that part the field from its key
    fn take(&mut self, meta: ParseNestedMeta<'_>) -> syn::Result<()> {
        let given = meta
            .path
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        match given.as_str() {
            "rename" if meta.input.peek(Paren) => Err(meta
                .error("a job's data is written and read under one name: write `rename = \"…\"`")),
            "flatten" => {
                Err(meta.error("a field of the job's data has a key of its own: remove `flatten`"))
            }
            "skip" | "skip_serializing" | "skip_deserializing" => {
                Err(meta.error(format!("a job's data is stored whole: remove `{given}`")))
            }
            "rename" => {
                self.rename = Some(meta.value()?.parse::<LitStr>()?.value());
                Ok(())
            }
            "default" if meta.input.peek(Token![=]) => {
                self.default = Some(SerdeDefault::Path(
                    meta.value()?.parse::<LitStr>()?.parse()?,
                ));
                Ok(())
            }
            "default" => {
                self.default = Some(SerdeDefault::Trait);
                Ok(())
            }
            _ => skip_value(meta.input),
        }
    }
}

/// Moves on to the next comma.
fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}
