//! What the options of all the attributes have in common: a list like `name = "…", retry(…), blocking`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Expr, ExprLit, Ident, Lit, LitInt, LitStr, Meta, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
};

use crate::errors::Errors;

/// The options in the order written. A syntax error loses those behind it, but not what else there is to say.
pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Vec<Meta> {
    let mut options = Vec::new();
    errors.keep((|input: ParseStream<'_>| list_in(input, &mut options)).parse2(tokens));
    options
}

fn list_in(input: ParseStream<'_>, options: &mut Vec<Meta>) -> syn::Result<()> {
    while !input.is_empty() {
        if !input.peek(Ident::peek_any) && !input.peek(Token![::]) {
            return Err(input.error("an option begins with its name: write it like `name = \"…\"`"));
        }
        options.push(one_in(input)?);
        if !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error("options are parted by commas: write `,` before this"));
        }
        input.parse::<Option<Token![,]>>()?;
    }
    Ok(())
}

fn one_in(input: ParseStream<'_>) -> syn::Result<Meta> {
    let ahead = input.fork();
    let name = ahead.call(Ident::parse_any)?;
    if ahead.peek(Token![:]) && !ahead.peek(Token![::]) {
        return Err(ahead.error(format!("a value comes after `=`: write `{name} = …`")));
    }
    let without_value =
        ahead.parse::<Token![=]>().is_ok() && (ahead.is_empty() || ahead.peek(Token![,]));
    if without_value {
        return Err(syn::Error::new(
            name.span(),
            format!("`{name}` has no value: write one after `=`"),
        ));
    }
    input.parse()
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
        _ => wrong_form(option, "takes a text in quotes", example, errors),
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
        _ => wrong_form(option, "takes a whole number", example, errors),
    }
}

/// `name`, with nothing behind it. What there is behind it is an error, and the flag is set all the same: it was meant.
pub(crate) fn flag(option: &Meta, errors: &mut Errors) -> Option<()> {
    if !matches!(option, Meta::Path(_)) {
        wrong_form::<()>(option, "takes no value", &name(option), errors);
    }
    Some(())
}

/// `name(…)`, with something in it
pub(crate) fn list(option: &Meta, example: &str, errors: &mut Errors) -> Option<TokenStream> {
    match option {
        Meta::List(list) if !list.tokens.is_empty() => Some(list.tokens.clone()),
        _ => wrong_form(option, "takes its parts in parentheses", example, errors),
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

fn wrong_form<T>(option: &Meta, takes: &str, example: &str, errors: &mut Errors) -> Option<T> {
    let name = name(option);
    errors.at(option, format!("`{name}` {takes}: write it as `{example}`"));
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

/// The known name most like this one, if one is like it at all.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
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
        assert!(flag(&first(quote!(blocking = true)), &mut errors).is_some());
        assert!(list(&first(quote!(retry())), "retry(max = 8)", &mut errors).is_none());
        assert_eq!(
            errors.messages(),
            [
                "`timeout` takes a text in quotes: write it as `timeout = \"10m\"`",
                "`blocking` takes no value: write it as `blocking`",
                "`retry` takes its parts in parentheses: write it as `retry(max = 8)`"
            ]
        );
    }

    #[test]
    fn a_list_that_is_none_shows_how_to_write_one() {
        for (list, message) in [
            (
                quote!("send"),
                "an option begins with its name: write it like `name = \"…\"`",
            ),
            (
                quote!(name: "send"),
                "a value comes after `=`: write `name = …`",
            ),
            (quote!(name = ), "`name` has no value: write one after `=`"),
            (
                quote!(name = , blocking),
                "`name` has no value: write one after `=`",
            ),
            (
                quote!(blocking strict_lease),
                "options are parted by commas: write `,` before this",
            ),
        ] {
            let mut errors = Errors::default();
            parse(list, &mut errors);
            assert_eq!(errors.messages(), [message]);
        }
    }
}
