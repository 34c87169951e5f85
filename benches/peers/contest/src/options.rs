use clap::{Parser, ValueEnum};

/// The command line of every contestant.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// A fresh database.
    #[arg(long)]
    pub database_url: String,
    /// How many programs.
    #[arg(long, default_value_t = 500)]
    pub count: usize,
    /// What to measure.
    #[arg(long, value_enum)]
    pub part: Part,
    /// Programs that its worker runs at once; the best we found, unless given.
    #[arg(long)]
    pub slots: Option<usize>,
}

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// One creator, one program after the other.
    OneByOne,
    /// Fifty creators at once.
    FiftyAtOnce,
    /// The fastest way to create many.
    Bulk,
    /// A backlog of jobs of one step.
    #[value(name = "drain-1")]
    Drain1,
    /// A backlog of programs of two steps.
    #[value(name = "drain-2")]
    Drain2,
    /// From the creation of a program until its body starts, on an idle worker.
    Latency,
}

impl Part {
    /// All, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::OneByOne,
        Self::FiftyAtOnce,
        Self::Bulk,
        Self::Drain1,
        Self::Drain2,
        Self::Latency,
    ];

    /// As the command line says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneByOne => "one-by-one",
            Self::FiftyAtOnce => "fifty-at-once",
            Self::Bulk => "bulk",
            Self::Drain1 => "drain-1",
            Self::Drain2 => "drain-2",
            Self::Latency => "latency",
        }
    }
}

/// How many steps a program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// A single job.
    One,
    /// Two jobs, the second after the first is durable.
    Two,
}

impl Steps {
    /// The number.
    pub fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}
