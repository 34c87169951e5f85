#[program]
fn campaign(
    /// Count, but don't send.
    dry_run: bool,
    /// At most so many.
    limit: Option<u32>,
    mut tags: Vec<String>,
) -> impl IntoProgram {
    CountContacts { dry_run, limit, tags }
}
