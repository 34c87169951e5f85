//! `start`: a named program, whose arguments are options.
//!
//! Each program of the binary is a subcommand. Its own arguments come first: an option of ours whose
//! name a program takes for itself is `--executor-…` there, so that nothing is out of reach.

use std::collections::HashSet;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, error::ErrorKind as ClapErrorKind,
};

use super::{Globals, creation::Creation};
use crate::{
    error::Result,
    handle::Builder,
    program::{Argument, ArgumentKind, Arguments, ProgramDefinition, Programs},
};

/// What was asked for; the program's arguments are read when it is made.
pub(super) struct Start {
    program: String,
    matches: ArgMatches,
}

impl Start {
    pub(super) async fn perform(self, builder: Builder) -> Result<()> {
        let program = Programs::collect()?.require(&self.program)?;
        let creation = Creation::from_arg_matches(&self.matches)?;
        let made = program.make(arguments(program, &self.matches)).await?;
        creation.perform(builder, made).await
    }
}

impl FromArgMatches for Start {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let (program, matches) = matches
            .subcommand()
            .ok_or_else(|| clap::Error::new(ClapErrorKind::MissingSubcommand))?;
        Ok(Self {
            program: program.to_owned(),
            matches: matches.clone(),
        })
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Start {
    fn augment_args(command: Command) -> Command {
        command
            .about("Start a named program")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand_value_name("PROGRAM")
            .subcommand_help_heading("Programs")
            // A program may be named `help`.
            .disable_help_subcommand(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The command `start` with this binary's programs.
pub(super) fn with_programs(command: Command, programs: &Programs) -> Command {
    let mut all = programs.iter().peekable();
    if all.peek().is_none() {
        return command.after_help("This application has no programs: #[program] makes one.");
    }
    command.subcommands(all.map(subcommand))
}

fn subcommand(program: &'static ProgramDefinition) -> Command {
    let mut taken = HashSet::new();
    let mut command = Command::new(program.name());
    let summary = first_paragraph(program.doc());
    if summary.len() < program.doc().len() {
        command = command.long_about(program.doc());
    }
    command = command.about(summary);
    for argument in program.arguments() {
        let long = option_name(argument, program.arguments());
        taken.insert(long.clone());
        command = command.arg(option(argument, long));
    }
    let ours = |augment: fn(Command) -> Command| augment(Command::new("ours"));
    for arg in ours(Creation::augment_args).get_arguments() {
        command = command.arg(beside(&taken, arg.clone()));
    }
    // Global options come by themselves, but for those whose name is taken.
    for arg in ours(Globals::augment_args).get_arguments() {
        if arg.get_long().is_some_and(|long| taken.contains(long)) {
            command = command.arg(beside(&taken, arg.clone()));
        }
    }
    if taken.contains("help") {
        let help = Arg::new("help").short('h').long("help").help("Print help");
        command = command
            .disable_help_flag(true)
            .arg(beside(&taken, help.action(ArgAction::Help)));
    }
    command
}

fn option(argument: &'static Argument, long: String) -> Arg {
    let arg = Arg::new(id(argument))
        .long(long)
        .help(first_paragraph(argument.doc));
    match argument.kind {
        ArgumentKind::Flag => arg.action(ArgAction::SetTrue),
        ArgumentKind::Required | ArgumentKind::Optional => arg
            .value_name(argument.ty)
            .allow_negative_numbers(true)
            .required(argument.kind == ArgumentKind::Required),
    }
}

/// The id of a program's argument, which none of ours has.
fn id(argument: &Argument) -> String {
    format!("argument {}", argument.name)
}

/// The argument's name with dashes; without leading underscores, where that is no other's name.
fn option_name(argument: &Argument, all: &[Argument]) -> String {
    let kebab = |name: &str| name.trim_start_matches('_').replace('_', "-");
    let name = kebab(argument.name);
    let others = all.iter().filter(|other| other.name != argument.name);
    let shared = name.is_empty() || others.map(|other| kebab(other.name)).any(|n| n == name);
    if shared && argument.name.starts_with('_') {
        argument.name.to_owned()
    } else {
        name
    }
}

/// An option of ours under a name that the program leaves free.
fn beside(taken: &HashSet<String>, arg: Arg) -> Arg {
    let Some(mut long) = arg.get_long().map(str::to_owned) else {
        return arg;
    };
    while taken.contains(&long) {
        long = format!("executor-{long}");
    }
    arg.long(long)
}

fn arguments(program: &ProgramDefinition, matches: &ArgMatches) -> Arguments {
    let mut arguments = Arguments::new();
    for argument in program.arguments() {
        let id = id(argument);
        arguments = match argument.kind {
            ArgumentKind::Flag => arguments.json(argument.name, matches.get_flag(&id).into()),
            ArgumentKind::Required | ArgumentKind::Optional => {
                match matches.get_one::<String>(&id) {
                    Some(text) => arguments.text(argument.name, text),
                    None => arguments,
                }
            }
        };
    }
    arguments
}

/// What stands before the first empty line, as one line.
pub(super) fn first_paragraph(doc: &str) -> String {
    doc.lines()
        .take_while(|line| !line.trim().is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn argument(name: &'static str, kind: ArgumentKind) -> Argument {
        Argument {
            name,
            doc: "",
            ty: "String",
            kind,
        }
    }

    /// A program that takes whatever name we have.
    static GREEDY: ProgramDefinition = ProgramDefinition {
        name: "help",
        doc: "Takes all.\n\nAnd more.",
        file: "",
        line: 0,
        arguments: &[
            argument("help", ArgumentKind::Required),
            argument("json", ArgumentKind::Flag),
            argument("follow", ArgumentKind::Optional),
            argument("queue", ArgumentKind::Optional),
            argument("table", ArgumentKind::Optional),
            argument("executor_table", ArgumentKind::Optional),
            argument("verbose", ArgumentKind::Flag),
            argument("version", ArgumentKind::Flag),
            argument("priority", ArgumentKind::Optional),
            argument("_x", ArgumentKind::Optional),
            argument("x", ArgumentKind::Optional),
            argument("__x", ArgumentKind::Optional),
            argument("ünïcode_name", ArgumentKind::Optional),
        ],
        build: |_| Box::pin(async { Err("not made here".into()) }),
    };

    fn start() -> Command {
        let root = Globals::augment_args(Command::new("app"));
        root.subcommand(Start::augment_args(Command::new("start")).subcommand(subcommand(&GREEDY)))
    }

    fn parse(given: &str) -> std::result::Result<Matches, clap::Error> {
        let matches = start().try_get_matches_from(given.split(' '))?;
        let globals = Globals::from_arg_matches(&matches)?;
        let start = matches
            .subcommand_matches("start")
            .expect("it is the command");
        let start = Start::from_arg_matches(start)?;
        let creation = Creation::from_arg_matches(&start.matches)?;
        Ok(Matches {
            globals,
            creation,
            arguments: arguments(&GREEDY, &start.matches),
        })
    }

    struct Matches {
        globals: Globals,
        creation: Creation,
        arguments: Arguments,
    }

    #[test]
    fn a_programs_own_arguments_win_and_ours_stay_in_reach() {
        let mut given = parse(
            "app start help --help me --json --table own --executor-executor-table ours \
             --executor-verbose --priority -5 --executor-queue mail --_x 1 --ünïcode-name 2",
        )
        .expect("they are all known");
        assert_eq!(given.globals.table.as_deref(), Some("ours"));
        assert_eq!(given.globals.verbose, 1);
        assert_eq!(given.creation.queue(), Some("mail"));
        assert_eq!(given.arguments.take::<String>("help").expect("given"), "me");
        assert!(given.arguments.take_flag("json").expect("given"));
        assert!(!given.arguments.take_flag("verbose").expect("left out"));
        assert_eq!(
            given.arguments.take::<String>("table").expect("given"),
            "own"
        );
        assert_eq!(given.arguments.take::<i32>("priority").expect("given"), -5);
        assert_eq!(given.arguments.take::<u8>("_x").expect("given"), 1);
        assert_eq!(
            given.arguments.take::<u8>("ünïcode_name").expect("given"),
            2
        );
    }

    #[test]
    fn what_is_required_and_unknown_is_clap_s_to_say() {
        let missing = parse("app start help")
            .err()
            .expect("an argument is missing");
        assert_eq!(missing.kind(), ClapErrorKind::MissingRequiredArgument);
        assert!(missing.to_string().contains("--help <String>"), "{missing}");
        let help = parse("app start help -h").err().expect("it is shown");
        assert_eq!(help.kind(), ClapErrorKind::DisplayHelp);
        assert!(help.to_string().starts_with("Takes all.\n"), "{help}");
        let unknown = parse("app start halp").err().expect("there is none");
        assert_eq!(unknown.kind(), ClapErrorKind::InvalidSubcommand);
        assert!(unknown.to_string().contains("'help'"), "{unknown}");
    }
}
