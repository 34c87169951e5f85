//! The command line that every application has through [`run`](crate::run()).
//!
//! One file a command or a group of them. All write what a script may want to stdout, through
//! [`terminal`], and remarks for people to stderr.

#[cfg(feature = "rabbitmq")]
mod adopt;
mod bulk;
mod catalog;
mod control;
mod create;
mod creation;
mod data;
mod doctor;
mod filter;
mod follow;
mod list;
mod logging;
mod migrate;
mod progress;
mod schedules;
mod show;
mod start;
mod status;
mod table;
mod terminal;
mod work;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind as ClapErrorKind};

use crate::{
    error::{ErrorKind, Result},
    handle::Builder,
    program::Programs,
    run::work,
};

/// Runs this application's jobs, and looks after its programs.
///
/// Without a command it works: it takes programs from the store and runs their jobs, until SIGTERM
/// or Ctrl-C.
#[derive(Parser)]
#[command(version = concat!("(executor ", env!("CARGO_PKG_VERSION"), ")"))]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
struct Globals {
    /// Where the store is, before DATABASE_URL: sqlite:path/to/file.db
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// The name of the programs' table, before EXECUTOR_TABLE
    #[arg(long, global = true, value_name = "NAME")]
    table: Option<String>,
    /// Log more, and still more if repeated (or set RUST_LOG)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Log less, and still less if repeated
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    quiet: u8,
}

#[derive(Subcommand)]
enum Command {
    Work(work::Work),
    Start(start::Start),
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Follow(follow::Follow),
    Cancel(bulk::Cancel),
    Retry(bulk::Retry),
    Delete(bulk::Delete),
    Pause(control::Pause),
    Resume(control::Resume),
    Prune(control::Prune),
    Complete(control::Complete),
    Fail(control::Fail),
    Stats(status::Stats),
    Workers(status::Workers),
    Schedules(schedules::Schedules),
    Jobs(catalog::Jobs),
    Programs(catalog::NamedPrograms),
    Migrate(migrate::Migrate),
    Doctor(doctor::Doctor),
    #[cfg(feature = "rabbitmq")]
    Adopt(adopt::Adopt),
}

/// Reads the process's arguments, and does what they say.
pub(crate) async fn enter(builder: Builder) -> Result<()> {
    let cli = parse(std::env::args_os(), &Programs::collect()?);
    let works = matches!(cli.command, None | Some(Command::Work(_)));
    logging::start(works, cli.globals.verbose, cli.globals.quiet)?;
    let builder = cli.globals.apply(builder);
    let done = Box::pin(builder.perform(cli.command.unwrap_or_default())).await;
    if let Err(error) = &done
        && error.kind() == ErrorKind::Usage
    {
        // What only the command itself could see ends the process as clap does.
        clap::Error::raw(ClapErrorKind::ValueValidation, format!("{error}\n")).exit();
    }
    done
}

/// Ends the process where the arguments can't be understood, or ask for help.
fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>, programs: &Programs) -> Cli {
    let mut arguments = arguments.into_iter().peekable();
    let mut command = command(programs);
    if let Some(path) = arguments.peek().map(std::path::PathBuf::from)
        && let Some(name) = path.file_stem()
    {
        command = command.name(name.to_string_lossy().into_owned());
    }
    let matches = command
        .try_get_matches_from_mut(arguments)
        .unwrap_or_else(|e| e.exit());
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

fn command(programs: &Programs) -> clap::Command {
    Cli::command().mut_subcommand("start", |command| start::with_programs(command, programs))
}

impl Globals {
    fn apply(self, mut builder: Builder) -> Builder {
        if let Some(url) = self.database_url {
            builder = builder.database_url(url);
        }
        if let Some(table) = self.table {
            builder = builder.table(table);
        }
        builder
    }
}

impl Default for Command {
    fn default() -> Self {
        Self::Work(work::Work::default())
    }
}

impl Builder {
    /// Performs a command. Those that need no store do not touch it.
    async fn perform(self, command: Command) -> Result<()> {
        match command {
            Command::Jobs(command) => command.perform(),
            Command::Programs(command) => command.perform(),
            // What is to be created is read before the store is opened: mistakes leave no trace.
            Command::Start(command) => Box::pin(command.perform(self)).await,
            Command::Create(command) => Box::pin(command.perform(self)).await,
            Command::Migrate(command) => command.perform(self).await,
            Command::Work(command) => work(&command.apply(self).connect_when_up().await?).await,
            Command::List(command) => command.perform(self.connect().await?).await,
            Command::Show(command) => command.perform(self.connect().await?).await,
            Command::Follow(command) => command.perform(self.connect().await?).await,
            Command::Cancel(command) => command.perform(self.connect().await?).await,
            Command::Retry(command) => command.perform(self.connect().await?).await,
            Command::Delete(command) => command.perform(self.connect().await?).await,
            Command::Pause(command) => command.perform(self.connect().await?).await,
            Command::Resume(command) => command.perform(self.connect().await?).await,
            Command::Prune(command) => command.perform(self.connect().await?).await,
            Command::Complete(command) => command.perform(self.connect().await?).await,
            Command::Fail(command) => command.perform(self.connect().await?).await,
            Command::Stats(command) => command.perform(self.connect().await?).await,
            Command::Schedules(command) => command.perform(self.connect().await?).await,
            Command::Workers(command) => command.perform(self.connect().await?).await,
            Command::Doctor(command) => command.perform(self.connect().await?).await,
            #[cfg(feature = "rabbitmq")]
            Command::Adopt(command) => command.perform(self.connect().await?).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_nothing_wrong() {
        command(&Programs::collect().expect("no name stands twice")).debug_assert();
    }
}
