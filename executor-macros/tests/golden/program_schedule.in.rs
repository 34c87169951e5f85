#[program(schedule = "0 3 * * *", timezone = "Europe/Budapest", catch_up = "all")]
#[cfg(feature = "nightly")]
fn nightly(slot: Option<Slot>, limit: Option<u32>) -> impl IntoProgram {
    CountContacts { slot, limit }
}

#[program(name = "often", schedule = "*/5 * * * *")]
fn every_five_minutes(slot: executor::Slot, dry_run: bool) -> impl IntoProgram {
    CountContacts { slot, dry_run }
}
