use proc_macro2::TokenStream;
use quote::quote;

use super::expand;
use crate::errors::messages_in;

fn errors(args: TokenStream, item: TokenStream) -> Vec<String> {
    messages_in(expand(args, item))
}

fn errors_of_args(args: TokenStream) -> Vec<String> {
    errors(
        args,
        quote!(
            async fn ping() -> Result<(), JobError> {
                Ok(())
            }
        ),
    )
}

fn errors_of_parameters(parameters: TokenStream) -> Vec<String> {
    errors(
        quote!(),
        quote!(async fn ping(#parameters) -> Result<(), JobError> { Ok(()) }),
    )
}

#[test]
fn the_function_comes_out_in_spite_of_errors() {
    let expanded = expand(
        quote!(unknwon),
        quote!(
            pub async fn ping(#[serde(default)] n: u8) -> R {
                broken()
            }
        ),
    );
    let function = quote!(
        pub async fn ping(n: u8) -> R {
            broken()
        }
    )
    .to_string();
    assert!(expanded.to_string().starts_with(&function), "{expanded}");
}

#[test]
fn something_else_than_a_function_is_left_alone() {
    let expanded = expand(
        quote!(),
        quote!(
            struct Ping;
        ),
    );
    assert!(expanded.to_string().starts_with("struct Ping ;"));
    assert_eq!(
        messages_in(expanded),
        ["this attribute goes on a function: write it above a `fn`"]
    );
    let constant = expand(
        quote!(),
        quote!(
            const PING: u32 = 1;
        ),
    );
    assert_eq!(
        messages_in(constant),
        ["this attribute goes on a function: write it above a `fn`"]
    );
}

#[test]
fn unknown_options_are_told_with_the_nearest_one() {
    assert_eq!(
        errors_of_args(quote!(time_out = "1s")),
        [
            "unknown option `time_out`, did you mean `timeout`? (known: `name`, `retry`, `timeout`, `concurrency`, \
             `concurrency_global`, `rate`, `burst`, `limit_key`, `strict_lease`, `blocking`, `derive`, `crate`)",
        ]
    );
}

#[test]
fn rates_are_a_number_and_a_time() {
    for wrong in ["100", "0/min", "x/min", "100/", "100/0s", "100/fortnight"] {
        let errors = errors_of_args(quote!(rate = #wrong));
        let last = errors.last().map(String::as_str).unwrap_or_default();
        assert!(last.starts_with("this is no rate"), "{wrong}: {errors:?}");
    }
    for right in ["100/min", "5/s", "1/30s", "7 / hour", "2/day"] {
        assert_eq!(errors_of_args(quote!(rate = #right)), [""; 0], "{right}");
    }
}

#[test]
fn every_bad_option_is_reported() {
    assert_eq!(
        errors_of_args(quote!(
            name = "",
            retry(max = "8", backoff = "5m..1s", tries = 2),
            timeout = 10,
            timeout = "0s",
            concurrency = 0,
            strict_lease = true,
            derive(Clone),
            derive(Debug),
            crate = "a b",
        )),
        [
            "the name is empty: write one, or leave `name` out to use the function's name",
            "`max` takes a whole number: write it as `max = 8`",
            "`5m` is longer than `1s`: write the shorter one first, \"1s..5m\"",
            "unknown option `tries` (known: `max`, `backoff`)",
            "`timeout` takes a text in quotes: write it as `timeout = \"10m\"`",
            "a duration of zero makes no sense here: write at least \"1ms\"",
            "`0` is out of range: write a number from 1 to 4294967295",
            "`strict_lease` takes no value: write it as `strict_lease`",
            "`derive` is given twice: keep one",
            "not a path: write it as `crate = \"my_executor\"`",
        ]
    );
}

#[test]
fn a_signature_that_makes_no_job_says_what_to_write() {
    let item = quote!(
        const unsafe extern "C" fn ping<T>(self)
        where
            T: Send,
        {
        }
    );
    assert_eq!(
        errors(quote!(), item),
        [
            "a job can't be `const`: remove it",
            "a job can't be `unsafe`: remove it, and keep the unsafe part in the body",
            "a job can't be `extern`: remove it",
            "a job can't be generic, as it is found by its name alone: write one function for each type, which may \
             call a generic one",
            "a job can't have a `where` clause, as it can't be generic: remove it",
            "a job is a free function: take what you need as parameters in place of `self`",
            "a job says what it returns: write `-> Result<(), JobError>`",
            "a job is an `async fn`: write `async`, or `#[job(blocking)]` for code that blocks",
        ]
    );
}

#[test]
fn a_blocking_job_is_not_async() {
    assert_eq!(
        errors_of_args(quote!(blocking)),
        ["a `blocking` job is a plain `fn`: remove `async`, or else `blocking`"]
    );
}

#[test]
fn borrowed_and_nameless_types_are_refused() {
    assert_eq!(
        errors_of_parameters(
            quote!(a: &str, b: &[u8], c: &Context, d: Option<&str>, e: Vec<impl Clone>)
        ),
        [
            "a parameter can't borrow, as its value is made for the call: own it, `String`",
            "a parameter can't borrow, as its value is made for the call: own it, `Vec<u8>`",
            "a parameter can't borrow, as its value is made for the call: own it, `Context`",
            "a parameter can't borrow, as its value is made for the call: own it, `String`",
            "a parameter needs one type that can be read from the store: name it in place of `impl …`",
        ]
    );
}

#[test]
fn what_goes_into_the_store_has_no_lifetime() {
    let item = quote!(
        async fn ping<'a>(
            a: Cow<'a, str>,
            b: ProgramData<&str>,
        ) -> Result<Vec<&'static str>, JobError> {
        }
    );
    assert_eq!(
        errors(quote!(), item),
        [
            "a job's output can't borrow, as it goes into the store: own it, `String`",
            "a parameter can't borrow, as its value is made for the call: write `'static`, or a type that owns what it holds",
            "a parameter can't borrow, as its value is made for the call: own it, `String`",
            "a job can't have lifetimes, as its data is made for the call: take what it needs by value",
        ]
    );
    let owned = quote!(
        async fn ping(a: Cow<'static, str>) -> Result<(), &'static str> {}
    );
    assert!(errors(quote!(), owned).is_empty());
}

#[test]
fn an_output_is_of_a_struct() {
    assert_eq!(
        errors_of_parameters(
            quote!(a: Output<count>, b: Option<Output<mail::r#match>>, c: Output<u8>)
        ),
        [
            "`count` is not the struct of a job: write `Output<Count>` for what `async fn count` returns",
            "`match` is not the struct of a job: write `Output<Match>` for what `async fn match` returns",
            "`u8` is not the struct of a job: write the job that returns it, like `Output<CountContacts>`",
        ]
    );
}

#[test]
fn progress_is_of_a_type() {
    assert_eq!(
        errors_of_parameters(quote!(a: Saved, b: Saved<u8, u8>)),
        ["`Saved` takes the type of what it saves: write it like `Saved<u32>`, or give a type of your own another name";
            2]
    );
}

#[test]
fn other_code_finds_the_struct_where_it_can_be_made() {
    let has_struct = |args, item| expand(args, item).to_string().contains("struct Ping");
    let function = quote!(
        async fn ping(n: u8) -> Result<(), JobError> {}
    );
    assert!(has_struct(quote!(timeout = "soon"), function.clone()));
    assert!(!has_struct(quote!(derive(Serialize)), function));
    for (item, made) in [
        (
            quote!(
                fn ping(n: u8) -> Result<(), JobError> {}
            ),
            true,
        ),
        (
            quote!(
                async fn ping(n: u8) {}
            ),
            true,
        ),
        (
            quote!(
                async unsafe fn ping(n: u8) -> Result<(), JobError> {}
            ),
            true,
        ),
        (
            quote!(
                async fn ping(n: &u8) -> Result<(), JobError> {}
            ),
            false,
        ),
        (
            quote!(
                async fn ping<T>(n: T) -> Result<(), JobError> {}
            ),
            false,
        ),
        (
            quote!(
                async fn ping(self, n: u8) -> Result<(), JobError> {}
            ),
            false,
        ),
    ] {
        assert_eq!(has_struct(quote!(), item.clone()), made, "{item}");
    }
}

#[test]
fn parameters_of_the_run_have_their_rules() {
    assert_eq!(
        errors_of_parameters(quote!(
            a: ProgramData<A>,
            b: ProgramData<A>,
            c: Context,
            d: Context,
            e: Option<State<u8>>,
            f: Option<Saved<u8>>,
            g: Tx<Pg>,
            i: Tx<Pg>,
            j: Option<Tx<Pg>>,
            #[serde(default)] h: Output<J>,
        )),
        [
            "`State` is always there: take it without the `Option`",
            "`Saved` begins with its default: write `Saved<Option<…>>` for a value that may be missing",
            "`Tx` is always there: take it without the `Option`",
            "this parameter is no field of the job's data: remove the `serde` attribute",
            "a job takes one `ProgramData`: remove the second",
            "a job takes one `Context`: remove the second",
            "a job takes one `Tx`: remove the second",
        ]
    );
}

#[test]
fn fields_have_a_name_and_a_key_of_their_own() {
    assert_eq!(
        errors_of_parameters(quote!(
            (a, b): (u8, u8),
            c: u8,
            #[serde(rename = "c")] d: u8,
            #[serde(flatten)] e: E,
            #[serde(skip)] f: u8,
            #[serde(rename(serialize = "x"))] g: u8,
            #[cfg(unix)] h: u8,
        )),
        [
            "a field of the job's data needs a name: write `name: Type`, and take it apart in the body",
            "a field of the job's data has a key of its own: remove `flatten`",
            "a job's data is stored whole: remove `skip`",
            "a job's data is written and read under one name: write `rename = \"…\"`",
            "a job's data can't depend on `cfg`: put it on the whole function",
            "another field has the key `c` already: rename one of them",
        ]
    );
}

#[test]
fn derives_that_are_there_already_are_refused() {
    assert_eq!(
        errors_of_args(quote!(derive(serde::Serialize, Default))),
        [
            "every job has serde's traits: remove it",
            "a job without required fields has `Default`: remove it"
        ]
    );
    let with_required = errors(
        quote!(derive(Default)),
        quote!(
            async fn ping(n: u8) -> R {}
        ),
    );
    assert!(with_required.is_empty());
}
