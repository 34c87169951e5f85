#[cfg(feature = "mail")]
pub async fn campaign(campaign: String) -> Result<impl IntoProgram, ReadError> {
    let campaign = read(campaign).await?;
    Ok(Program::new(campaign).then(CountContacts))
}
#[cfg(feature = "mail")]
jobs::__private::inventory::submit! {
    jobs::__private::ProgramDefinition { name : "campaign", doc : "", file :
    ::core::file!(), line : ::core::line!(), arguments : & [jobs::__private::Argument {
    name : "campaign", doc : "", ty : "String", kind :
    jobs::__private::ArgumentKind::Required, }], build : | mut __arguments |
    ::std::boxed::Box::pin(async move { let __argument0 = __arguments.take:: < String >
    ("campaign") ?;
    jobs::__private::ProgramReturn::into_program(jobs::__private::sendable(campaign(__argument0))
    . await) }), }
}
