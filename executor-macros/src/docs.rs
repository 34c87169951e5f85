//! The user's docs and types as text, for the command line and the dashboard.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Lit, Meta, Type};

use crate::options;

/// The doc comment without its margin. Docs that aren't a literal (`include_str!`) are left out.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    lines.join("\n").trim().to_owned()
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let Some(Lit::Str(line)) =
        options::literal_of(&pair.value).filter(|_| pair.path.is_ident("doc"))
    else {
        return None;
    };
    let line = line.value();
    Some(line.strip_prefix(' ').unwrap_or(&line).to_owned())
}

/// `Vec<(String, u32)>`, where the tokens' own printing would put spaces everywhere.
pub(crate) fn type_text(ty: &Type) -> String {
    let mut text = String::new();
    write(ty.to_token_stream(), &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut after_word = false;
    for token in tokens {
        let is_word = matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_));
        if is_word && after_word {
            text.push(' ');
        }
        after_word = is_word;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => match (punct.as_char(), punct.spacing()) {
                (mark @ (',' | ';'), _) => text.extend([mark, ' ']),
                ('-', Spacing::Joint) => text.push_str(" -"),
                ('>', _) if text.ends_with('-') => text.push_str("> "),
                (mark @ ('+' | '='), _) => text.extend([' ', mark, ' ']),
                (mark, _) => text.push(mark),
            },
            word => text.push_str(&word.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn a_type_reads_as_people_write_it() {
        for written in [
            "u64",
            "Option<Vec<String>>",
            "std::collections::HashMap<String, (u32, [u8; 4])>",
            "Box<dyn Shape + Send>",
            "fn(A) -> B",
        ] {
            assert_eq!(type_text(&syn::parse_str(written).unwrap()), written);
        }
    }

    #[test]
    fn docs_lose_their_margin_only() {
        let function: syn::ItemFn = parse_quote! {
            /// First.
            ///
            ///   Indented.
            #[doc = include_str!("x.md")]
            #[doc(hidden)]
            fn documented() {}
        };
        assert_eq!(text(&function.attrs), "First.\n\n  Indented.");
    }
}
