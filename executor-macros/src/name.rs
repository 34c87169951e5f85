//! Names under which jobs and programs are stored.

use syn::LitStr;

use crate::errors::Errors;

/// Any text will do, but for what the store needs itself: `#2` marks the second run of a job in its program.
pub(crate) fn checked(literal: LitStr, errors: &mut Errors) -> Option<LitStr> {
    let name = literal.value();
    let mistake = if name.is_empty() {
        "the name is empty: write one, or leave `name` out to use the function's name"
    } else if name.contains('#') {
        "a name can't contain `#`, which marks a job's second run in a program: leave it out"
    } else if name.contains(char::is_control) {
        "a name can't contain control characters: leave them out"
    } else {
        return Some(literal);
    };
    errors.at(literal, mistake);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    #[test]
    fn any_printable_text_but_the_hash_is_a_name() {
        for (name, good) in [
            ("send \"it\" 📨", true),
            ("", false),
            ("a#2", false),
            ("a\nb", false),
            ("a\u{0}", false),
        ] {
            let mut errors = Errors::default();
            checked(LitStr::new(name, Span::call_site()), &mut errors);
            assert_eq!(errors.is_empty(), good, "{name:?}");
        }
    }
}
