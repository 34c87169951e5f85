//! The path of the `executor` crate, from which every generated path starts.

use proc_macro2::Span;
use syn::{LitStr, Meta, Path, parse_quote};

use crate::{errors::Errors, options};

/// Without `crate = "…"`, what the user's Cargo.toml most likely calls it.
pub(crate) fn default() -> Path {
    parse_quote!(::executor)
}

/// `crate = "…"`
pub(crate) fn parse(option: &Meta, errors: &mut Errors) -> Option<Path> {
    const EXAMPLE: &str = "crate = \"my_executor\"";
    let literal = options::string(option, EXAMPLE, errors)?;
    let path = literal.parse_with(Path::parse_mod_style).ok();
    if path.is_none() {
        errors.at(&literal, format!("not a path: write it as `{EXAMPLE}`"));
    }
    path
}

/// The same path, shown elsewhere in messages.
pub(crate) fn at(krate: &Path, span: Span) -> Path {
    let mut krate = krate.clone();
    if let Some(colon) = &mut krate.leading_colon {
        colon.spans = [span; 2];
    }
    for segment in &mut krate.segments {
        segment.ident.set_span(span);
    }
    krate
}

/// `#[serde(crate = …)]` takes the path as text.
pub(crate) fn serde(krate: &Path) -> LitStr {
    let root = if krate.leading_colon.is_some() {
        "::"
    } else {
        ""
    };
    let segments: Vec<_> = krate
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    let path = format!("{root}{}::__private::serde", segments.join("::"));
    LitStr::new(&path, Span::call_site())
}
