//! Every shape that the macros take has its expansion in `tests/golden`, so that a diff shows what a change does
//! to users' code. `UPDATE_GOLDEN=1` rewrites them.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Item, Meta};

use crate::{job, job_error, program};

macro_rules! golden {
    ($($shape:ident)*) => {
        $(
            #[test]
            fn $shape() {
                expands_as_recorded(stringify!($shape));
            }
        )*

        #[test]
        fn every_recorded_shape_is_tested() {
            let tested = BTreeSet::from([$(stringify!($shape).to_owned()),*]);
            let inputs = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let recorded = inputs.filter_map(|name| Some(name.strip_suffix(".in.rs")?.to_owned())).collect();
            assert_eq!(tested, recorded);
        }
    };
}

golden! {
    all_options
    blocking
    cfg_and_lints
    data_fields
    defaults
    error_enum
    error_struct
    optional_output
    output
    program_async
    program_data
    program_flags
    program_plain
    program_schedule
    raw_identifiers
    renamed_crate
    saved
    state_and_context
    unit_job
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden"]
        .iter()
        .collect()
}

fn expands_as_recorded(shape: &str) {
    let input = fs::read_to_string(folder().join(format!("{shape}.in.rs"))).unwrap();
    let input: syn::File = syn::parse_str(&input).unwrap();
    let expansion: TokenStream = input.items.into_iter().map(expand).collect();
    let expansion = prettyplease::unparse(&syn::parse2(expansion).unwrap());
    let recorded = folder().join(format!("{shape}.out.rs"));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(recorded, expansion).unwrap();
    } else {
        let recorded = fs::read_to_string(recorded).unwrap();
        assert_eq!(
            expansion, recorded,
            "UPDATE_GOLDEN=1 rewrites it, where the change is meant"
        );
    }
}

/// As the compiler would: the attribute is taken off, a derive's type stays.
fn expand(item: Item) -> TokenStream {
    match item {
        Item::Fn(mut item) => {
            let is_ours =
                |it: &Attribute| it.path().is_ident("job") || it.path().is_ident("program");
            let attribute = item
                .attrs
                .remove(item.attrs.iter().position(is_ours).unwrap());
            let args = match attribute.meta.clone() {
                Meta::List(list) => list.tokens,
                _ => TokenStream::new(),
            };
            let expand = if attribute.path().is_ident("job") {
                job::expand
            } else {
                program::expand
            };
            expand(args, item.into_token_stream())
        }
        item => {
            let generated = job_error::expand(item.to_token_stream());
            quote!(#item #generated)
        }
    }
}
