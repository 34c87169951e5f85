use proc_macro2::TokenStream;
use quote::quote;

use super::expand;
use crate::errors::messages_in;

fn errors(args: TokenStream, item: TokenStream) -> Vec<String> {
    messages_in(expand(args, item))
}

#[test]
fn the_function_comes_out_in_spite_of_errors() {
    let expanded = expand(
        quote!(unknwon),
        quote!(
            fn campaign(#[doc = " x"] id: u64) -> P {
                P::new()
            }
        ),
    );
    let function = quote!(
        fn campaign(id: u64) -> P {
            P::new()
        }
    )
    .to_string();
    assert!(expanded.to_string().starts_with(&function), "{expanded}");
}

#[test]
fn options_that_are_planned_are_told_from_unknown_ones() {
    let item = quote!(
        fn campaign() -> P {
            P::new()
        }
    );
    assert_eq!(
        errors(quote!(schedule = "0 0 * * *", nam = "x"), item),
        [
            "`schedule` is not available yet in this version: leave it out",
            "unknown option `nam`, did you mean `name`? (known: `name`, `crate`)",
        ]
    );
}

#[test]
fn parameters_of_jobs_are_refused() {
    let item = quote!(
        fn campaign(
            mailer: State<Mailer>,
            (a, b): (u32, u32),
            name: &str,
            #[serde(default)] n: u8,
        ) -> P {
        }
    );
    assert_eq!(
        errors(quote!(), item),
        [
            "`State` is for jobs: a program is built from plain arguments",
            "an argument needs a name: write `name: Type`, and take it apart in the body",
            "a parameter can't borrow, as its value is made for the call: own it, `String`",
            "a program's argument takes no `serde` attribute: give its type what it needs",
        ]
    );
}

#[test]
fn a_program_returns_something() {
    assert_eq!(
        errors(
            quote!(),
            quote!(
                fn campaign() {}
            )
        ),
        ["a program says what it returns: write `-> impl IntoProgram`"]
    );
}
