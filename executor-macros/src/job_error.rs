//! `#[derive(JobError)]`

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Attribute, Data, DataEnum, DeriveInput, Ident, Meta, Path};

use crate::{crate_path, duration, errors::Errors, options};

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let class = errors
        .keep(syn::parse2(item))
        .and_then(|input| ErrorClass::read(input, &mut errors));
    match class {
        Some(class) if errors.is_empty() => class.expand(),
        _ => errors.into_compile_errors(),
    }
}

struct ErrorClass {
    krate: Path,
    ident: Ident,
    arms: Vec<Arm>,
}

struct Arm {
    /// The path of a variant, or of the struct.
    path: TokenStream,
    verdict: Verdict,
}

/// Durations are in milliseconds.
#[derive(Clone, Copy)]
enum Verdict {
    Retry,
    RetryAfter(u64),
    Ignore,
    Snooze(u64),
    Fatal,
}

const ON_VARIANT: &[&str] = &["retry", "retry_after", "ignore", "snooze", "fatal"];
const ON_TYPE: &[&str] = &["retry", "retry_after", "ignore", "snooze", "fatal", "crate"];

/// What the attributes of a type or of a variant say.
struct Written {
    verdict: Option<Verdict>,
    krate: Option<Path>,
}

impl ErrorClass {
    fn read(input: DeriveInput, errors: &mut Errors) -> Option<Self> {
        let DeriveInput {
            attrs,
            ident,
            generics,
            data,
            ..
        } = input;
        if !generics.params.is_empty() {
            errors.at(
                &generics,
                "a generic error can't be told by its type: derive `JobError` on a type \
 without parameters",
            );
        }
        let Written { verdict, krate } = Written::read(&attrs, ON_TYPE, errors);
        let default = verdict.unwrap_or(Verdict::Fatal);
        let arms = match &data {
            Data::Struct(_) => vec![Arm {
                path: quote!(#ident),
                verdict: default,
            }],
            Data::Enum(data) => Arm::of_variants(&ident, data, default, errors),
            Data::Union(data) => {
                errors.at(
                    data.union_token,
                    "a union can't be an error of a job: write a struct or an enum",
                );
                return None;
            }
        };
        Some(Self {
            krate: krate.unwrap_or_else(crate_path::default),
            ident,
            arms,
        })
    }

    fn expand(&self) -> TokenStream {
        let Self { krate, ident, arms } = self;
        let paths = arms.iter().map(|arm| &arm.path);
        let verdicts = arms.iter().map(|arm| arm.verdict.expand(krate));
        // At the type's name, for the message when it isn't an `Error`.
        let classified = quote_spanned!(ident.span()=> #krate::__private::Classified);
        quote! {
            #[automatically_derived]
            impl #classified for #ident {
                fn verdict(&self) -> #krate::__private::Verdict {
                    match *self { #(#paths { .. } => #verdicts,)* }
                }
            }
            #krate::__private::inventory::submit! { #krate::__private::ErrorClass::of::<#ident>() }
        }
    }
}

impl Arm {
    fn of_variants(
        ident: &Ident,
        data: &DataEnum,
        default: Verdict,
        errors: &mut Errors,
    ) -> Vec<Self> {
        let arms = data.variants.iter().map(|variant| {
            let name = &variant.ident;
            let written = Written::read(&variant.attrs, ON_VARIANT, errors);
            Self {
                path: quote!(#ident::#name),
                verdict: written.verdict.unwrap_or(default),
            }
        });
        arms.collect()
    }
}

impl Written {
    // retry
    // retry_after = "5m"
    // ignore
    // snooze = "1h"
    // fatal
    // crate = "my_executor"      on the type only
    fn read(attributes: &[Attribute], known: &[&str], errors: &mut Errors) -> Self {
        let (mut class, mut verdict, mut krate) = (None, None, None);
        for option in &options_of(attributes, errors) {
            let name = options::name(option);
            match (name.as_str(), &class) {
                (unknown, _) if !known.contains(&unknown) => {
                    options::unknown(option, known, errors);
                }
                ("crate", _) => options::set_once(&mut krate, option, errors, crate_path::parse),
                (_, Some(class)) => {
                    errors.at(
                        option,
                        format!("`{class}` is written already: keep one of the two"),
                    );
                }
                (_, None) => {
                    verdict = Verdict::parse(&name, option, errors);
                    class = Some(name);
                }
            }
        }
        Self { verdict, krate }
    }
}

fn options_of(attributes: &[Attribute], errors: &mut Errors) -> Vec<Meta> {
    let ours = attributes
        .iter()
        .filter(|it| it.path().is_ident("job_error"));
    let lists = ours.filter_map(|it| {
        let list = options::list(&it.meta, "job_error(retry)", errors)?;
        Some(options::parse(list, errors))
    });
    lists.flatten().collect()
}

impl Verdict {
    fn parse(name: &str, option: &Meta, errors: &mut Errors) -> Option<Self> {
        let flag = match name {
            "retry_after" => {
                return millis(option, "retry_after = \"5m\"", errors).map(Self::RetryAfter);
            }
            "snooze" => return millis(option, "snooze = \"1h\"", errors).map(Self::Snooze),
            "retry" => Self::Retry,
            "ignore" => Self::Ignore,
            _ => Self::Fatal,
        };
        options::flag(option, errors).map(|()| flag)
    }

    fn expand(self, krate: &Path) -> TokenStream {
        let verdict = match self {
            Self::Retry => quote!(Retry),
            Self::RetryAfter(millis) => quote!(RetryAfterMs(#millis)),
            Self::Ignore => quote!(Ignore),
            Self::Snooze(millis) => quote!(SnoozeMs(#millis)),
            Self::Fatal => quote!(Fatal),
        };
        quote!(#krate::__private::Verdict::#verdict)
    }
}

fn millis(option: &Meta, example: &str, errors: &mut Errors) -> Option<u64> {
    let literal = options::string(option, example, errors)?;
    duration::positive(&literal, errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::messages_in;

    #[test]
    fn mistakes_are_all_reported() {
        let expanded = expand(quote! {
            #[job_error(retri)]
            enum MailError<T> {
                #[job_error(retry, ignore)]
                Timeout,
                #[job_error(retry_after)]
                Throttled,
                #[job_error(snooze = "soon")]
                Closed,
                #[job_error]
                Empty,
                #[job_error(crate = "other")]
                Misplaced(T),
            }
        });
        assert_eq!(
            messages_in(expanded),
            [
                "a generic error can't be told by its type: derive `JobError` on a type without parameters",
                "unknown option `retri`, did you mean `retry`? \
                 (known: `retry`, `retry_after`, `ignore`, `snooze`, `fatal`, `crate`)",
                "`retry` is written already: keep one of the two",
                "`retry_after` takes a text in quotes: write it as `retry_after = \"5m\"`",
                "`soon` is not a duration: write it like \"30s\", \"5m\" or \"1h 30m\"",
                "`job_error` takes its parts in parentheses: write it as `job_error(retry)`",
                "unknown option `crate` (known: `retry`, `retry_after`, `ignore`, `snooze`, `fatal`)",
            ]
        );
    }

    #[test]
    fn a_union_is_refused() {
        let expanded = expand(quote!(union Bits { int: u32, float: f32 }));
        assert_eq!(
            messages_in(expanded),
            ["a union can't be an error of a job: write a struct or an enum"]
        );
    }
}
