fn campaign(
    dry_run: bool,
    limit: Option<u32>,
    mut tags: Vec<String>,
) -> impl IntoProgram {
    CountContacts {
        dry_run,
        limit,
        tags,
    }
}
::executor::__private::inventory::submit! {
    ::executor::__private::ProgramDefinition { name : "campaign", doc : "", file :
    ::core::file!(), line : ::core::line!(), arguments : &
    [::executor::__private::Argument { name : "dry_run", doc : "Count, but don't send.",
    ty : "bool", kind : ::executor::__private::ArgumentKind::Flag, },
    ::executor::__private::Argument { name : "limit", doc : "At most so many.", ty :
    "u32", kind : ::executor::__private::ArgumentKind::Optional, },
    ::executor::__private::Argument { name : "tags", doc : "", ty : "Vec<String>", kind :
    ::executor::__private::ArgumentKind::Required, }], build : | mut __arguments |
    ::std::boxed::Box::pin(async move { let __argument0 = __arguments
    .take_flag("dry_run") ?; let __argument1 = __arguments.take_optional:: < u32 >
    ("limit") ?; let __argument2 = __arguments.take:: < Vec < String > > ("tags") ?;
    ::executor::__private::ProgramReturn::into_program(campaign(__argument0, __argument1,
    __argument2)) }), }
}
