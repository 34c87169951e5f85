//! The registration of a program.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Path, spanned::Spanned};

use super::{
    check::Program,
    model::{Argument, Kind},
};
use crate::{docs, function::locals, types};

pub(crate) fn expand(program: &Program<'_>) -> TokenStream {
    let Program {
        function,
        args,
        arguments,
    } = program;
    let krate = &args.krate;
    let cfgs = function.cfgs();
    let (name, doc) = (function.stored_name(args.name.as_ref()), function.docs());
    let described = arguments.iter().map(|argument| describe(argument, krate));
    let build = build(program);
    let schedule = args.schedule.as_ref().map(|schedule| {
        let schedule = schedule.expand(&name, krate);
        quote!(#(#cfgs)* #schedule)
    });
    quote! {
        #(#cfgs)*
        #krate::__private::inventory::submit! {
            #krate::__private::ProgramDefinition {
                name: #name,
                doc: #doc,
                file: ::core::file!(),
                line: ::core::line!(),
                arguments: &[#(#described),*],
                build: #build,
            }
        }
        #schedule
    }
}

fn describe(argument: &Argument<'_>, krate: &Path) -> TokenStream {
    let Argument {
        name,
        doc,
        ty,
        kind,
    } = argument;
    let ty = match kind {
        Kind::Optional(inner) => docs::type_text(inner),
        Kind::Required | Kind::Flag => docs::type_text(ty),
    };
    let kind = match kind {
        Kind::Required => format_ident!("Required"),
        Kind::Optional(_) => format_ident!("Optional"),
        Kind::Flag => format_ident!("Flag"),
    };
    quote! {
        #krate::__private::Argument {
            name: #name,
            doc: #doc,
            ty: #ty,
            kind: #krate::__private::ArgumentKind::#kind,
        }
    }
}

fn build(program: &Program<'_>) -> TokenStream {
    let Program {
        function,
        args,
        arguments,
    } = program;
    let krate = &args.krate;
    let ident = &function.sig.ident;
    let given = Ident::new("__arguments", Span::mixed_site());
    let mutable = (!arguments.is_empty()).then(|| quote!(mut));
    let locals = locals(arguments.len());
    let taken = arguments
        .iter()
        .map(|argument| take(argument, &given, krate));
    let call = quote_spanned!(ident.span()=> #ident(#(#locals),*));
    let returned = match function.sig.asyncness {
        Some(_) => quote_spanned!(ident.span()=> #krate::__private::sendable(#call).await),
        None => call,
    };
    let program =
        quote_spanned!(ident.span()=> #krate::__private::ProgramReturn::into_program(#returned));
    quote! {
        |#mutable #given| ::std::boxed::Box::pin(async move {
            #(let #locals = #taken;)*
            #program
        })
    }
}

/// Spanned at the type, which may not be `Deserialize`.
fn take(argument: &Argument<'_>, given: &Ident, krate: &Path) -> TokenStream {
    let Argument { name, ty, kind, .. } = argument;
    let slot = |ty, item| {
        let arguments = quote!(&mut #given, #name);
        let call = types::call(ty, "SlotParam", item, krate, &arguments);
        quote_spanned!(ty.span()=> #call?)
    };
    match kind {
        Kind::Required if argument.is_slot() => slot(ty, "required"),
        Kind::Optional(inner) if argument.is_slot() => slot(inner, "optional"),
        Kind::Required => quote_spanned!(ty.span()=> #given.take::<#ty>(#name)?),
        Kind::Optional(inner) => {
            quote_spanned!(inner.span()=> #given.take_optional::<#inner>(#name)?)
        }
        Kind::Flag => quote!(#given.take_flag(#name)?),
    }
}
