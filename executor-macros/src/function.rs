//! A function of which only the signature is read: the body is the compiler's business, and its mistakes too.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, FnArg, Ident, LitStr, Meta, Pat, PatIdent, PatType, ReturnType, Signature, Token,
    Visibility,
    ext::IdentExt,
    parse::{Parse, ParseStream},
};

use crate::{docs, errors::Errors};

pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    body: TokenStream,
}

impl Function {
    /// The function, or what to emit in its place.
    pub(crate) fn read(item: TokenStream) -> Result<Self, TokenStream> {
        syn::parse2(item.clone()).map_err(|error| {
            let error = error.to_compile_error();
            quote!(#item #error)
        })
    }

    /// The parameters, without the `self` that [`Function::check`] refuses.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &PatType> {
        self.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(parameter),
            FnArg::Receiver(_) => None,
        })
    }

    /// Whether it stands outside of an `impl` and has all its types.
    pub(crate) fn is_free(&self) -> bool {
        self.sig.receiver().is_none() && self.sig.generics.params.is_empty()
    }

    pub(crate) fn docs(&self) -> String {
        docs::text(&self.attrs)
    }

    /// The name given in the attribute, or else the function's own.
    pub(crate) fn stored_name(&self, given: Option<&LitStr>) -> LitStr {
        let ident = &self.sig.ident;
        given
            .cloned()
            .unwrap_or_else(|| LitStr::new(&ident.unraw().to_string(), ident.span()))
    }

    /// The conditions under which the function exists. All that is generated shares them.
    pub(crate) fn cfgs(&self) -> Vec<&Attribute> {
        self.attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .collect()
    }

    /// The lints that the user silenced. An `expect` becomes an `allow`, as it is fulfilled in one place only.
    pub(crate) fn allowed_lints(&self) -> Vec<TokenStream> {
        let silenced = self
            .attrs
            .iter()
            .filter_map(|attribute| match &attribute.meta {
                Meta::List(list) if list.path.is_ident("allow") || list.path.is_ident("expect") => {
                    Some(&list.tokens)
                }
                _ => None,
            });
        silenced.map(|lints| quote!(#[allow(#lints)])).collect()
    }

    /// What neither a job nor a program can be. `what` is "a job" or "a program", `returns` what to write after `->`.
    pub(crate) fn check(&self, what: &str, returns: &str, errors: &mut Errors) {
        let Signature {
            constness,
            unsafety,
            abi,
            ident,
            generics,
            inputs,
            variadic,
            output,
            ..
        } = &self.sig;
        if let Some(keyword) = constness {
            errors.at(keyword, format!("{what} can't be `const`: remove it"));
        }
        if let Some(keyword) = unsafety {
            errors.at(
                keyword,
                format!(
                    "{what} can't be `unsafe`: remove it, and keep the unsafe part in the body"
                ),
            );
        }
        if let Some(abi) = abi {
            errors.at(abi, format!("{what} can't be `extern`: remove it"));
        }
        if generics.lifetimes().count() == generics.params.len() && !generics.params.is_empty() {
            errors.at(
                generics,
                format!("{what} can't have lifetimes, as its data is made for the call: take what it needs by value"),
            );
        } else if !generics.params.is_empty() {
            let advice = "write one function for each type, which may call a generic one";
            errors.at(
                generics,
                format!("{what} can't be generic, as it is found by its name alone: {advice}"),
            );
        }
        if let Some(clause) = &generics.where_clause {
            errors.at(
                clause,
                format!("{what} can't have a `where` clause, as it can't be generic: remove it"),
            );
        }
        if let Some(FnArg::Receiver(receiver)) = inputs.first() {
            errors.at(
                receiver,
                format!(
                    "{what} is a free function: take what you need as parameters in place of `self`"
                ),
            );
        }
        if let Some(dots) = variadic {
            errors.at(dots, format!("{what} can't be variadic: take a `Vec`"));
        }
        if matches!(output, ReturnType::Default) {
            errors.at(
                ident,
                format!("{what} says what it returns: write `-> {returns}`"),
            );
        }
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let is_function = input.peek(Token![fn])
            || input.peek(Token![async])
            || input.peek(Token![unsafe])
            || input.peek(Token![extern])
            || (input.peek(Token![const]) && !input.peek2(syn::Ident) && !input.peek2(Token![_]));
        if !is_function {
            return Err(input.error("this attribute goes on a function: write it above a `fn`"));
        }
        Ok(Self {
            attrs,
            vis,
            sig: input.parse()?,
            body: input.parse()?,
        })
    }
}

/// The function as written, without the attributes of its parameters that the compiler refuses there.
impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self {
            attrs,
            vis,
            sig,
            body,
        } = self;
        let mut sig = sig.clone();
        for input in &mut sig.inputs {
            if let FnArg::Typed(parameter) = input {
                parameter.attrs.retain(|attribute| !is_moved(attribute));
            }
        }
        tokens.extend(quote!(#(#attrs)* #vis #sig #body));
    }
}

/// `name` or `mut name`
pub(crate) fn plain_name(pat: &Pat) -> Option<&Ident> {
    match pat {
        Pat::Ident(PatIdent {
            by_ref: None,
            subpat: None,
            ident,
            ..
        }) => Some(ident),
        _ => None,
    }
}

/// Names for the arguments of a generated call. They can't meet the user's, least of all the function's own.
pub(crate) fn locals(count: usize) -> Vec<Ident> {
    (0..count)
        .map(|index| format_ident!("__argument{index}", span = Span::mixed_site()))
        .collect()
}

/// Attributes of parameters that move to the generated code.
pub(crate) fn is_moved(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc") || attribute.path().is_ident("serde")
}
