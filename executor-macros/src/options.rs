//! What the options of all the attributes have in common: a list like `name = "…", retry(…), blocking`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, ExprLit, Lit, LitInt, LitStr, Meta, Token, parse::Parser, punctuated::Punctuated};

use crate::errors::Errors;

/// The options in the order written. A syntax error loses the list, but not what else there is to say.
pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Punctuated<Meta, Token![,]> {
    let list = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens);
    errors.keep(list).unwrap_or_default()
}

/// The option's name, as in `match name(&option).as_str()`.
pub(crate) fn name(option: &Meta) -> String {
    let segments = &option.path().segments;
    let segments: Vec<_> = segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    segments.join("::")
}

/// Fills the slot with what `parse` reads; a second time is an error at the second.
pub(crate) fn set_once<T>(
    slot: &mut Option<T>,
    option: &Meta,
    errors: &mut Errors,
    parse: impl FnOnce(&Meta, &mut Errors) -> Option<T>,
) {
    if slot.is_some() {
        errors.at(
            option,
            format!("`{}` is given twice: keep one", name(option)),
        );
    } else {
        *slot = parse(option, errors);
    }
}

/// `name = "…"`. The example is shown if it is written in another way.
pub(crate) fn string(option: &Meta, example: &str, errors: &mut Errors) -> Option<LitStr> {
    match literal(option) {
        Some(Lit::Str(text)) => Some(text.clone()),
        _ => wrong_form(option, example, errors),
    }
}

/// `name = 4`
pub(crate) fn integer<'o>(
    option: &'o Meta,
    example: &str,
    errors: &mut Errors,
) -> Option<&'o LitInt> {
    match literal(option) {
        Some(Lit::Int(number)) => Some(number),
        _ => wrong_form(option, example, errors),
    }
}

/// `name`, with nothing behind it
pub(crate) fn flag(option: &Meta, errors: &mut Errors) -> Option<()> {
    match option {
        Meta::Path(_) => Some(()),
        _ => wrong_form(option, &name(option), errors),
    }
}

/// `name(…)`, with something in it
pub(crate) fn list(option: &Meta, example: &str, errors: &mut Errors) -> Option<TokenStream> {
    match option {
        Meta::List(list) if !list.tokens.is_empty() => Some(list.tokens.clone()),
        _ => wrong_form(option, example, errors),
    }
}

pub(crate) fn unknown(option: &Meta, known: &[&str], errors: &mut Errors) {
    let name = name(option);
    let guess = nearest(&name, known).map(|near| format!(", did you mean `{near}`?"));
    let known: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    let (guess, known) = (guess.unwrap_or_default(), known.join(", "));
    errors.at(
        option.path(),
        format!("unknown option `{name}`{guess} (known: {known})"),
    );
}

pub(crate) fn unavailable(option: &Meta, errors: &mut Errors) {
    let name = name(option);
    errors.at(
        option.path(),
        format!("`{name}` is not available yet in this version: leave it out"),
    );
}

fn wrong_form<T>(option: &Meta, example: &str, errors: &mut Errors) -> Option<T> {
    errors.at(option, format!("write it as `{example}`"));
    None
}

fn literal(option: &Meta) -> Option<&Lit> {
    let Meta::NameValue(pair) = option else {
        return None;
    };
    literal_of(&pair.value)
}

/// The literal itself, also from inside the invisible group in which `macro_rules!` passes it on.
pub(crate) fn literal_of(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal_of(&group.expr),
        _ => None,
    }
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // Below this, two names of the options have less in common than a slip of the finger leaves.
    const LIKENESS: f64 = 0.75;
    let scored = known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), *known));
    let likely = scored.filter(|(score, _)| *score >= LIKENESS);
    likely
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The text of a number in a literal, or an error at it.
pub(crate) fn number(literal: &LitInt, least: u32, errors: &mut Errors) -> Option<u32> {
    match literal.base10_parse::<u32>() {
        Ok(number) if number >= least => Some(number),
        _ => {
            let given = literal.to_token_stream();
            errors.at(
                literal,
                format!(
                    "`{given}` is out of range: write a number from {least} to {}",
                    u32::MAX
                ),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn first(tokens: TokenStream) -> Meta {
        parse(tokens, &mut Errors::default())
            .into_iter()
            .next()
            .unwrap()
    }

    #[test]
    fn an_unknown_option_lists_the_known_and_guesses_the_nearest() {
        let mut errors = Errors::default();
        unknown(
            &first(quote!(timout = "1s")),
            &["name", "timeout"],
            &mut errors,
        );
        unknown(&first(quote!(zzz)), &["name", "timeout"], &mut errors);
        assert_eq!(
            errors.messages(),
            [
                "unknown option `timout`, did you mean `timeout`? (known: `name`, `timeout`)",
                "unknown option `zzz` (known: `name`, `timeout`)",
            ]
        );
    }

    #[test]
    fn the_first_of_two_is_kept() {
        let (mut slot, mut errors) = (Some(1), Errors::default());
        let option = first(quote!(concurrency = 2));
        set_once(&mut slot, &option, &mut errors, |_, _| Some(2));
        assert_eq!(slot, Some(1));
        assert_eq!(
            errors.messages(),
            ["`concurrency` is given twice: keep one"]
        );
    }

    #[test]
    fn a_value_of_the_wrong_form_shows_the_right_one() {
        let mut errors = Errors::default();
        assert!(
            string(
                &first(quote!(timeout = 10)),
                "timeout = \"10m\"",
                &mut errors
            )
            .is_none()
        );
        assert!(flag(&first(quote!(blocking = true)), &mut errors).is_none());
        assert!(list(&first(quote!(retry())), "retry(max = 8)", &mut errors).is_none());
        assert_eq!(
            errors.messages(),
            [
                "write it as `timeout = \"10m\"`",
                "write it as `blocking`",
                "write it as `retry(max = 8)`"
            ]
        );
    }
}
