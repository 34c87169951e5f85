#[cfg(feature = "nightly")]
fn nightly(slot: Option<Slot>, limit: Option<u32>) -> impl IntoProgram {
    CountContacts { slot, limit }
}
#[cfg(feature = "nightly")]
::executor::__private::inventory::submit! {
    ::executor::__private::ProgramDefinition { name : "nightly", doc : "", file :
    ::core::file!(), line : ::core::line!(), arguments : &
    [::executor::__private::Argument { name : "slot", doc : "", ty : "Slot", kind :
    ::executor::__private::ArgumentKind::Optional, }, ::executor::__private::Argument {
    name : "limit", doc : "", ty : "u32", kind :
    ::executor::__private::ArgumentKind::Optional, }], build : | mut __arguments |
    ::std::boxed::Box::pin(async move { let __argument0 = < Slot as
    ::executor::__private::SlotParam > ::optional(& mut __arguments, "slot") ?; let
    __argument1 = __arguments.take_optional:: < u32 > ("limit") ?;
    ::executor::__private::ProgramReturn::into_program(nightly(__argument0, __argument1))
    }), }
}
#[cfg(feature = "nightly")]
::executor::__private::inventory::submit! {
    ::executor::__private::ScheduleDefinition { program : "nightly", cron : "0 3 * * *",
    timezone : "Europe/Budapest", catch_up : ::executor::__private::CatchUp::All, file :
    ::core::file!(), line : ::core::line!(), }
}
fn every_five_minutes(slot: executor::Slot, dry_run: bool) -> impl IntoProgram {
    CountContacts { slot, dry_run }
}
::executor::__private::inventory::submit! {
    ::executor::__private::ProgramDefinition { name : "often", doc : "", file :
    ::core::file!(), line : ::core::line!(), arguments : &
    [::executor::__private::Argument { name : "slot", doc : "", ty : "executor::Slot",
    kind : ::executor::__private::ArgumentKind::Required, },
    ::executor::__private::Argument { name : "dry_run", doc : "", ty : "bool", kind :
    ::executor::__private::ArgumentKind::Flag, }], build : | mut __arguments |
    ::std::boxed::Box::pin(async move { let __argument0 = < executor::Slot as
    ::executor::__private::SlotParam > ::required(& mut __arguments, "slot") ?; let
    __argument1 = __arguments.take_flag("dry_run") ?;
    ::executor::__private::ProgramReturn::into_program(every_five_minutes(__argument0,
    __argument1)) }), }
}
::executor::__private::inventory::submit! {
    ::executor::__private::ScheduleDefinition { program : "often", cron : "*/5 * * * *",
    timezone : "UTC", catch_up : ::executor::__private::CatchUp::Last, file :
    ::core::file!(), line : ::core::line!(), }
}
