//! `send_campaign` → `SendCampaign`

use proc_macro2::Ident;
use syn::ext::IdentExt;

use crate::errors::Errors;

/// What everybody's code means by these names would change.
const HIDDEN: [&str; 9] = [
    "Ok", "Err", "Some", "None", "Option", "Result", "String", "Vec", "Box",
];

/// The name of a job's struct. It keeps the function's span, as users meet it in messages.
pub(crate) fn struct_name(function: &Ident, errors: &mut Errors) -> Option<Ident> {
    let name = upper_camel(&function.unraw().to_string());
    // `self_` gives a keyword, `_1` gives no identifier at all.
    let usable = syn::parse_str::<Ident>(&name).is_ok();
    if !usable || *function == name {
        errors.at(
            function,
            format!(
                "the job's struct can't be called `{name}`: name the function in snake case, \
                 like `send_mail`"
            ),
        );
        return None;
    }
    if HIDDEN.contains(&&*name) {
        errors.at(
            function,
            format!(
                "the job's struct would be called `{name}`, and hide the standard library's `{name}`: \
                 give the function another name; `#[job(name = \"{function}\")]` keeps the job's"
            ),
        );
        return None;
    }
    Some(Ident::new(&name, function.span()))
}

/// As a struct is called.
pub(crate) fn upper_camel(snake: &str) -> String {
    let words = snake.split('_').map(str::chars);
    words
        .flat_map(|mut word| {
            word.next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .chain(word)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    #[test]
    fn underscores_become_capitals() {
        for (snake, camel) in [
            ("send_campaign", "SendCampaign"),
            ("ping", "Ping"),
            ("_import_v2", "ImportV2"),
            ("größe_ändern", "GrößeÄndern"),
            ("r#match", "Match"),
        ] {
            let snake = syn::parse_str::<Ident>(snake).unwrap();
            assert_eq!(struct_name(&snake, &mut Errors::default()).unwrap(), camel);
        }
    }

    #[test]
    fn a_name_that_makes_no_struct_is_refused() {
        for name in ["self_", "_1", "__", "Ping", "ok", "result"] {
            let mut errors = Errors::default();
            assert!(
                struct_name(&Ident::new(name, Span::call_site()), &mut errors).is_none(),
                "{name}"
            );
            assert!(!errors.is_empty());
        }
    }
}
