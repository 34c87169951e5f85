//! `migrate`: the store's tables.

use super::terminal::{note, print};
use crate::{
    error::{Error, ErrorKind, Result},
    handle::Builder,
};

/// Create or upgrade the tables
#[derive(clap::Args)]
pub(super) struct Migrate {
    /// Only list what is missing; exit code 1 when something is
    #[arg(long)]
    check: bool,
}

impl Migrate {
    pub(super) async fn perform(self, builder: Builder) -> Result<()> {
        let executor = builder.open().await?;
        if !self.check {
            let applied = executor.migrate().await?;
            print(&lines(&applied))?;
            note(match applied.len() {
                0 => "the tables are up to date",
                _ => "applied",
            });
            return Ok(());
        }
        let missing = executor.inner().store.pending_migrations().await?;
        print(&lines(&missing))?;
        if missing.is_empty() {
            note("the tables are up to date");
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "the tables are not up to date; `migrate` applies what is missing",
        ))
    }
}

fn lines(names: &[String]) -> String {
    names.iter().map(|name| format!("{name}\n")).collect()
}
