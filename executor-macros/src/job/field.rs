//! A parameter that is a field of the job's data.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, ExprPath, Ident, LitStr, PatType, Token, Type, ext::IdentExt, meta::ParseNestedMeta,
    parse::ParseStream, spanned::Spanned, token::Paren,
};

use crate::{
    errors::Errors,
    function::{is_moved, plain_name},
    types::{self, Owned},
};

pub(crate) struct Field<'f> {
    pub(crate) ident: &'f Ident,
    /// The parameter's `doc` and `serde` attributes.
    pub(crate) attributes: Vec<&'f Attribute>,
    /// The type in the data: `T` of `Saved<T>`, and the parameter's own of all others.
    pub(crate) ty: &'f Type,
    pub(crate) saved: bool,
    serde: SerdeOptions,
}

impl<'f> Field<'f> {
    pub(crate) fn read(parameter: &'f PatType, errors: &mut Errors) -> Option<Self> {
        let PatType { attrs, pat, ty, .. } = parameter;
        Owned::Parameter.check(ty, errors);
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
        let saved = types::is(ty, "Saved");
        let stored = if saved {
            types::only_argument(ty)
        } else {
            Some(&**ty)
        };
        let Some(stored) = stored else {
            errors.at(
                ty,
                "`Saved` takes the type of what it saves: write it like `Saved<u32>`, or give a type \
                 of your own another name",
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
            ty: stored,
            saved,
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

    /// Tells serde that the field may be missing, unless the user has. A bare `default` would do as well, but a path
    /// has a place, where it is said that the type has no default.
    pub(crate) fn serde_default(&self) -> Option<TokenStream> {
        let told = self.required() || self.serde.default.is_some();
        (!told).then(|| {
            let default = LitStr::new("::core::default::Default::default", self.ty.span());
            quote!(#[serde(default = #default)])
        })
    }

    /// The value that serde gives it when it is missing.
    pub(crate) fn default_value(&self) -> TokenStream {
        match &self.serde.default {
            Some(SerdeDefault::Path(path)) => quote!(#path()),
            _ => quote_spanned!(self.ty.span()=> ::core::default::Default::default()),
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
