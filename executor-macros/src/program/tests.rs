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

fn campaign() -> TokenStream {
    quote!(
        fn campaign() -> P {
            P::new()
        }
    )
}

#[test]
fn unknown_options_are_told_the_known_ones() {
    assert_eq!(
        errors(quote!(schedule = "0 0 * * *", nam = "x"), campaign()),
        [
            "unknown option `nam`, did you mean `name`? (known: `name`, `schedule`, `timezone`, `catch_up`, `crate`)"
        ]
    );
}

#[test]
fn what_is_wrong_with_a_schedule_is_said() {
    let wrong = quote!(
        schedule = "0 3 * *",
        timezone = "Europe/Budapst",
        catch_up = "some"
    );
    assert_eq!(
        errors(wrong, campaign()),
        [
            "`0 3 * *` is no cron line (Pattern must have between 5 and 7 fields): write minute, hour, day, \
             month and weekday, like \"0 3 * * *\" or \"*/15 9-17 * * MON-FRI\"",
            "there is no time zone `Europe/Budapst`, did you mean `Europe/Budapest`? (names are those of \
             the IANA database, like \"Europe/Budapest\" or \"UTC\")",
            "`catch_up` is one of \"none\", \"last\" and \"all\": what becomes of the slots that no worker \
             was there to fill",
        ]
    );
    assert_eq!(
        errors(quote!(timezone = "UTC"), campaign()),
        [
            "`timezone` is about a `schedule`, and there is none: write `schedule = \"0 3 * * *\"` beside it"
        ]
    );
}

#[test]
fn nobody_gives_a_scheduled_program_its_arguments() {
    let item = quote!(
        fn nightly(day: u8, slot: Slot, again: bool, limit: Option<u32>) -> P {
            P::new()
        }
    );
    assert_eq!(
        errors(quote!(schedule = "@daily"), item),
        ["a schedule starts this program, and nobody gives it `day`: write `day: Option<u8>`"]
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
