//! The code of a job. It is short, as the work is done by functions in `executor::__private`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Path, Type, spanned::Spanned};

use super::{
    args::Rate,
    check::Job,
    field::Field,
    model::{Parameter, Role},
};
use crate::{
    crate_path, docs,
    duration::Range,
    function::locals,
    types::{self, Ends},
};

pub(crate) fn expand(job: &Job<'_>) -> TokenStream {
    let krate = &job.args.krate;
    let struct_name = &job.struct_name;
    let cfgs = job.function.cfgs();
    let data = data(job);
    let job_impl = job_impl(job);
    let place = place_in_programs(job);
    quote! {
        #data
        #job_impl
        #place
        #(#cfgs)*
        #krate::__private::inventory::submit! { #krate::__private::JobDefinition::of::<#struct_name>() }
    }
}

fn data(job: &Job<'_>) -> TokenStream {
    let Job {
        function,
        args,
        struct_name,
        ..
    } = job;
    let vis = &function.vis;
    let (cfgs, lints) = (function.cfgs(), function.allowed_lints());
    let docs: Vec<_> = function
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .collect();
    let (krate, derives) = (&args.krate, &args.derives);
    let fields: Vec<_> = job.fields().map(|field| data_field(job, field)).collect();
    if fields.is_empty() {
        let derives = (!derives.is_empty()).then(|| quote!(#[derive(#(#derives),*)]));
        return quote! {
            #(#cfgs)*
            #(#docs)*
            #(#lints)*
            #derives
            #vis struct #struct_name;

            #(#cfgs)*
            #krate::__private::unit_job_data!(#struct_name);
        };
    }
    let serde_path = crate_path::serde(krate);
    let constructors = constructors(job);
    quote! {
        #(#cfgs)*
        #(#docs)*
        #(#lints)*
        #[derive(#krate::__private::serde::Serialize, #krate::__private::serde::Deserialize #(, #derives)*)]
        #[serde(crate = #serde_path)]
        #vis struct #struct_name { #(#fields,)* }

        #constructors
    }
}

fn data_field(job: &Job<'_>, field: &Field<'_>) -> TokenStream {
    let Field {
        ident,
        attributes,
        ty,
        ..
    } = field;
    let vis = &job.function.vis;
    let default = field.serde_default();
    quote!(#(#attributes)* #default #vis #ident: #ty)
}

fn constructors(job: &Job<'_>) -> TokenStream {
    let Job {
        function,
        struct_name,
        ..
    } = job;
    let vis = &function.vis;
    let (cfgs, lints) = (function.cfgs(), function.allowed_lints());
    let (required, optional): (Vec<_>, Vec<_>) = job.fields().partition(|field| field.required());
    let names: Vec<_> = required.iter().map(|field| field.ident).collect();
    let types = required.iter().map(|field| field.ty);
    let optional_names = optional.iter().map(|field| field.ident);
    let defaults = optional.iter().map(|field| field.default_value());
    let doc = if optional.is_empty() {
        " The job's data."
    } else {
        " The job's data with its required fields; the others have their defaults."
    };
    let default_impl = names.is_empty().then(|| {
        quote! {
            #(#cfgs)*
            #[automatically_derived]
            impl ::core::default::Default for #struct_name {
                fn default() -> Self { Self::new() }
            }
        }
    });
    quote! {
        #(#cfgs)*
        #(#lints)*
        impl #struct_name {
            #[doc = #doc]
            #[must_use]
            #[allow(dead_code, clippy::too_many_arguments)]
            #vis fn new(#(#names: #types),*) -> Self {
                Self { #(#names,)* #(#optional_names: #defaults,)* }
            }
        }
        #default_impl
    }
}

fn job_impl(job: &Job<'_>) -> TokenStream {
    let Job {
        function,
        args,
        struct_name,
        ..
    } = job;
    let krate = &args.krate;
    let (cfgs, lints) = (function.cfgs(), function.allowed_lints());
    let name = function.stored_name(args.name.as_ref());
    let [returned, output, error] = returned(job);
    let program_data = match job.program_data() {
        Some(ty) => quote!(#ty),
        None => quote!(#krate::program::NoProgramData),
    };
    let options = options(job);
    let needs = needs(job);
    let attempt = Ident::new("__attempt", Span::mixed_site());
    let body = match job.returns {
        Some(_) => body(job, &attempt),
        None => quote!(::core::unreachable!()),
    };
    quote! {
        #(#cfgs)*
        #(#lints)*
        #[automatically_derived]
        impl #krate::Job for #struct_name {
            const NAME: &'static str = #name;
            type Output = #output;
            type Error = #error;
            type Returned = #returned;
            type ProgramData = #program_data;
            const OPTIONS: #krate::__private::JobOptions = #options;
            const NEEDS: #krate::__private::Needs = #needs;
            fn run(#attempt: #krate::__private::Attempt) -> #krate::__private::JobFuture { #body }
        }
    }
}

/// What the function returns, and the two types of that. They are shown as written there, where that can be told.
fn returned(job: &Job<'_>) -> [TokenStream; 3] {
    let krate = &job.args.krate;
    let Some(returns) = job.returns else {
        let error = quote!(#krate::JobError);
        return [
            quote!(::core::result::Result<(), #error>),
            quote!(()),
            error,
        ];
    };
    let [success, failure] = types::result(returns);
    let item = |part: Option<&Type>, name| {
        Ends::of(part.unwrap_or(returns)).item(returns, "JobReturn", name, krate)
    };
    [
        quote!(#returns),
        item(success, "Output"),
        item(failure, "Error"),
    ]
}

fn options(job: &Job<'_>) -> TokenStream {
    let args = &job.args;
    let krate = &args.krate;
    let max_retries = args.max_retries.map(|max| quote!(.max_retries(#max)));
    let backoff = args
        .backoff
        .as_ref()
        .map(|Range { min, max }| quote!(.backoff_ms(#min, #max)));
    let timeout = args.timeout.map(|millis| quote!(.timeout_ms(#millis)));
    let concurrency = args.concurrency.map(|most| quote!(.concurrency(#most)));
    let global = args
        .concurrency_global
        .map(|most| quote!(.concurrency_global(#most)));
    let rate = args
        .rate
        .as_ref()
        .map(|Rate { count, per_ms }| quote!(.rate(#count, #per_ms)));
    let burst = args.burst.as_ref().map(|burst| quote!(.burst(#burst)));
    let limit_key = args.limit_key.as_ref().map(|key| quote!(.limit_key(#key)));
    let limits = quote!(#global #rate #burst #limit_key);
    let strict_lease = args.strict_lease.then(|| quote!(.strict_lease()));
    let blocking = args.blocking.then(|| quote!(.blocking()));
    quote!(#krate::__private::JobOptions::new()#max_retries #backoff #timeout #concurrency #limits #strict_lease #blocking)
}

fn needs(job: &Job<'_>) -> TokenStream {
    let krate = &job.args.krate;
    let doc = job.function.docs();
    let fields = job.fields().map(|field| needs_field(field, krate));
    let program_data = match job.program_data() {
        Some(ty) => {
            let need = types::item(ty, "ProgramDataParam", "NEED", krate);
            quote!(::core::option::Option::Some(#need))
        }
        None => quote!(::core::option::Option::None),
    };
    let outputs = job.types(|role| matches!(role, Role::Output { .. }));
    let outputs = outputs.map(|ty| types::item(ty, "OutputParam", "NEED", krate));
    let states = job.types(|role| matches!(role, Role::State));
    let states = states.map(|ty| types::item(ty, "StateParam", "NEED", krate));
    let tx = match job.types(|role| matches!(role, Role::Tx)).next() {
        Some(ty) => {
            let need = types::item(ty, "TxParam", "NEED", krate);
            quote!(::core::option::Option::Some(#need))
        }
        None => quote!(::core::option::Option::None),
    };
    quote! {
        #krate::__private::Needs {
            doc: #doc,
            file: ::core::file!(),
            line: ::core::line!(),
            fields: &[#(#fields),*],
            program_data: #program_data,
            outputs: &[#(#outputs),*],
            states: &[#(#states),*],
            tx: #tx,
        }
    }
}

fn needs_field(field: &Field<'_>, krate: &Path) -> TokenStream {
    let (name, required, saved) = (field.key(), field.required(), field.saved);
    let ty = docs::type_text(field.ty);
    quote!(#krate::__private::Field { name: #name, ty: #ty, required: #required, saved: #saved })
}

fn body(job: &Job<'_>, attempt: &Ident) -> TokenStream {
    let krate = &job.args.krate;
    let function = &job.function.sig.ident;
    let data = Ident::new("__job", Span::mixed_site());
    let result = Ident::new("__result", Span::mixed_site());
    let arguments = job
        .parameters
        .iter()
        .map(|it| argument(it, krate, attempt, &data));
    // Spanned at the function's name, for "future returned by `send_mail` is not `Send`".
    let call = if job.args.blocking {
        // The arguments are made here, as the attempt stays on this side of the blocking pool.
        let locals = locals(job.parameters.len());
        let krate = crate_path::at(krate, function.span());
        // A closure around a function without parameters is one that lints call redundant.
        let run = if locals.is_empty() {
            quote!(#function)
        } else {
            quote_spanned!(function.span()=> move || #function(#(#locals),*))
        };
        quote_spanned! {function.span()=>
            #(let #locals = #arguments;)*
            let #result = #krate::__private::run_blocking(&#attempt, #run).await?;
        }
    } else {
        quote_spanned! {function.span()=>
            let #result = #krate::__private::sendable(#function(#(#arguments),*)).await;
        }
    };
    quote! {
        ::std::boxed::Box::pin(async move {
            let #data = #attempt.job_data::<Self>()?;
            #call
            #krate::__private::encode::<Self>(#result)
        })
    }
}

/// Spanned at the user's type, for the message when it isn't the one that its name suggests.
fn argument(parameter: &Parameter<'_>, krate: &Path, attempt: &Ident, data: &Ident) -> TokenStream {
    let ty = parameter.ty;
    let kind = match &parameter.role {
        Role::ProgramData => "ProgramDataParam",
        Role::Output { .. } => "OutputParam",
        Role::State => "StateParam",
        Role::Context => "ContextParam",
        Role::Tx => "TxParam",
        Role::Field(field) => {
            let (ident, key) = (field.ident, field.key());
            if !field.saved {
                return quote!(#data.#ident);
            }
            let given = quote!(&#attempt, #key, #data.#ident);
            return types::call(ty, "SavedParam", "from_field", krate, &given);
        }
    };
    let made = types::call(ty, kind, "from_attempt", krate, &quote!(&#attempt));
    quote!(#made?)
}

/// Which programs take the job, and where in them, for the compiler to check.
fn place_in_programs(job: &Job<'_>) -> TokenStream {
    let cfgs = job.function.cfgs();
    let outputs: Vec<_> = job
        .types(|role| matches!(role, Role::Output { required: true }))
        .collect();
    let runs_after = runs_after(job, &outputs);
    let alone = job.program_data().is_none() && outputs.is_empty();
    let into_program = alone.then(|| into_program(job));
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        #runs_after
        #into_program
    }
}

fn runs_after(job: &Job<'_>, outputs: &[&Type]) -> TokenStream {
    let Some(first) = outputs.first() else {
        let (krate, struct_name) = (&job.args.krate, &job.struct_name);
        return quote!(impl<__L> #krate::program::RunsAfter<__L, ()> for #struct_name {});
    };
    let (krate, struct_name) = header_at(job, first.span());
    let indexes: Vec<_> = (0..outputs.len())
        .map(|index| format_ident!("__I{index}"))
        .collect();
    let jobs = outputs
        .iter()
        .map(|ty| types::item(ty, "OutputParam", "Job", &krate));
    quote_spanned! {first.span()=>
        impl<__L, #(#indexes),*> #krate::program::RunsAfter<__L, (#(#indexes,)*)> for #struct_name
        where
            #(__L: #krate::program::Contains<#jobs, #indexes>,)*
        {}
    }
}

/// The compiler shows an impl by its header from end to end. Here that is to be the parameter it is for.
fn header_at(job: &Job<'_>, span: Span) -> (Path, Ident) {
    let struct_name = Ident::new(&job.struct_name.to_string(), span);
    (crate_path::at(&job.args.krate, span), struct_name)
}

/// A job that needs nothing of a program is one by itself.
fn into_program(job: &Job<'_>) -> TokenStream {
    let struct_name = &job.struct_name;
    let krate = &job.args.krate;
    let cfgs = job.function.cfgs();
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #krate::IntoProgram for #struct_name {
            type Typed = #krate::Program<(), (#struct_name, ())>;
            fn into_program(self) -> Self::Typed { #krate::Program::new(()).then(self) }
        }
    }
}
