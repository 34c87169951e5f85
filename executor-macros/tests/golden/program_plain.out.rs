/// Sends a campaign to a segment.
fn send_campaign(customer_id: u64, r#type: String) -> impl IntoProgram {
    Program::new(Campaign { customer_id }).then(CountContacts)
}
::executor::__private::inventory::submit! {
    ::executor::__private::ProgramDefinition { name : "campaign", doc :
    "Sends a campaign to a segment.", file : ::core::file!(), line : ::core::line!(),
    arguments : & [::executor::__private::Argument { name : "customer_id", doc :
    "The customer.", ty : "u64", kind : ::executor::__private::ArgumentKind::Required, },
    ::executor::__private::Argument { name : "type", doc : "", ty : "String", kind :
    ::executor::__private::ArgumentKind::Required, }], build : | mut __arguments |
    ::std::boxed::Box::pin(async move { let __argument0 = __arguments.take:: < u64 >
    ("customer_id") ?; let __argument1 = __arguments.take:: < String > ("type") ?;
    ::executor::__private::ProgramReturn::into_program(send_campaign(__argument0,
    __argument1)) }), }
}
fn nightly() -> Result<DynProgram, Error> {
    Ok(Program::new(()).then(Ping).erase())
}
::executor::__private::inventory::submit! {
    ::executor::__private::ProgramDefinition { name : "nightly", doc : "", file :
    ::core::file!(), line : ::core::line!(), arguments : & [], build : | __arguments |
    ::std::boxed::Box::pin(async move {
    ::executor::__private::ProgramReturn::into_program(nightly()) }), }
}
