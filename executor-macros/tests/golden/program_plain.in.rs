/// Sends a campaign to a segment.
#[program(name = "campaign")]
fn send_campaign(
    /// The customer.
    customer_id: u64,
    r#type: String,
) -> impl IntoProgram {
    Program::new(Campaign { customer_id }).then(CountContacts)
}

#[program]
fn nightly() -> Result<DynProgram, Error> {
    Ok(Program::new(()).then(Ping).erase())
}
