//! `schedules`: what starts by itself, and when.

use serde_json::{Map, Value};

use super::{
    data::Json,
    table::{Table, age, inline},
    terminal::{note, print, print_json},
};
use crate::{
    error::{Error, ErrorKind, Result},
    handle::Executor,
    schedule::{CatchUp, Schedule, ScheduleInfo, ScheduleSource},
};

/// List the schedules, or look after one of them
#[derive(clap::Args)]
pub(super) struct Schedules {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Show all about a schedule: what it starts, its next times, and how it differs from the code
    Show {
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a schedule, or change the one of this name
    Set(Set),
    /// Keep schedules from starting programs, over restarts and deploys
    Pause {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Let paused schedules start programs again, from now on
    Resume {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Start a schedule's program now, and print its run id
    Run { name: String },
    /// Delete schedules; one that comes from the code is made anew, as the code says
    Delete {
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(clap::Args)]
struct Set {
    name: String,
    /// When: minute, hour, day, month and weekday, like "0 3 * * *"
    #[arg(long)]
    cron: String,
    /// The program that it starts; the one of the schedule's name if left out
    #[arg(long)]
    program: Option<String>,
    /// The program's arguments, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = Json::parse)]
    arguments: Option<Json>,
    /// Where its times are read
    #[arg(long, default_value = "UTC")]
    timezone: String,
    /// Which of the slots are filled later that no worker was there to fill: none, last or all
    #[arg(long, default_value = "last", value_parser = catch_up)]
    catch_up: CatchUp,
}

impl Schedules {
    pub(super) async fn perform(self, executor: Executor) -> Result<()> {
        let schedules = executor.schedules();
        let printed = match self.action {
            None => list(schedules.list().await?, self.json),
            Some(Action::Show { name, json }) => {
                let found = schedules.get(&name).await?;
                let found = found.ok_or_else(|| {
                    Error::new(
                        ErrorKind::NotFound,
                        format!("no schedule is named {name:?}"),
                    )
                })?;
                if json || self.json {
                    print_json(&found)
                } else {
                    print(&details(&found))
                }
            }
            Some(Action::Set(set)) => {
                let name = set.name.clone();
                schedules.set(set.schedule()?).await?;
                print(&format!("{name} set\n"))
            }
            Some(Action::Pause { names }) => {
                for name in names {
                    let paused = schedules.pause(&name).await?;
                    tell(&name, paused, "paused", "was paused already")?;
                }
                Ok(true)
            }
            Some(Action::Resume { names }) => {
                for name in names {
                    let resumed = schedules.resume(&name).await?;
                    tell(&name, resumed, "resumed", "was not paused")?;
                }
                Ok(true)
            }
            Some(Action::Run { name }) => {
                let run_id = schedules.run_now(&name).await?;
                print(&format!("{run_id}\n"))
            }
            Some(Action::Delete { names }) => {
                for name in names {
                    let deleted = schedules.delete(&name).await?;
                    tell(&name, deleted, "deleted", "was not there")?;
                }
                Ok(true)
            }
        };
        printed.map(drop)
    }
}

impl Set {
    fn schedule(self) -> Result<Schedule> {
        let arguments = match self.arguments.map(Json::read).transpose()? {
            None => Map::new(),
            Some(Value::Object(arguments)) => arguments,
            Some(_) => {
                let message = "--arguments takes a JSON object, like '{\"limit\": 5}'";
                return Err(Error::new(ErrorKind::Usage, message));
            }
        };
        let program = self.program.unwrap_or_else(|| self.name.clone());
        let mut schedule = Schedule::new(program, self.cron)
            .named(self.name)
            .timezone(self.timezone)
            .catch_up(self.catch_up);
        for (name, value) in arguments {
            schedule = schedule.argument(name, value);
        }
        Ok(schedule)
    }
}

fn catch_up(text: &str) -> std::result::Result<CatchUp, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

fn tell(name: &str, changed: bool, done: &str, nothing: &str) -> Result<bool> {
    print(&format!(
        "{name} {}\n",
        if changed { done } else { nothing }
    ))
}

fn list(schedules: Vec<ScheduleInfo>, json: bool) -> Result<bool> {
    if json {
        return print_json(&schedules);
    }
    if schedules.is_empty() {
        note("no schedules; #[program(schedule = \"…\")] makes one, and so does `schedules set`");
        return Ok(true);
    }
    let mut table = Table::new(["NAME", "PROGRAM", "CRON", "TIME ZONE", "NEXT", "LAST", ""]);
    for schedule in &schedules {
        let next = match schedule.next.first() {
            Some(next) => next.to_string(),
            None => "-".to_owned(),
        };
        let last = match schedule.last_slot {
            Some(last) => format!("{} ago", age(last)),
            None => "-".to_owned(),
        };
        table.row([
            schedule.name.clone(),
            schedule.program.clone(),
            schedule.cron.clone(),
            schedule.timezone.clone(),
            next,
            last,
            marks(schedule),
        ]);
    }
    print(&table.text())
}

/// What is out of the ordinary about a schedule, in a few words.
fn marks(schedule: &ScheduleInfo) -> String {
    let edited = schedule.edited_at.is_some() && schedule.source == ScheduleSource::Code;
    let marks = [
        (schedule.paused_at.is_some(), "paused"),
        (edited, "edited"),
        (schedule.error_message.is_some(), "failing"),
        (schedule.remark.is_some() && !edited, "see `schedules show`"),
    ];
    let marks: Vec<&str> = marks
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, mark)| *mark)
        .collect();
    marks.join(", ")
}

fn details(schedule: &ScheduleInfo) -> String {
    let mut text = format!("{}\n", schedule.name);
    let mut line = |label: &str, value: String| {
        text.push_str(&format!("  {label:<12}{value}\n"));
    };
    line("program", schedule.program.clone());
    if schedule
        .arguments
        .as_object()
        .is_some_and(|all| !all.is_empty())
    {
        line("arguments", inline(&schedule.arguments, 200));
    }
    line(
        "cron",
        format!("{} in {}", schedule.cron, schedule.timezone),
    );
    line("catches up", schedule.catch_up.to_string());
    let source = match (schedule.source, schedule.edited_at) {
        (ScheduleSource::Code, Some(at)) => format!("the code, edited at {at}"),
        (ScheduleSource::Code, None) => "the code".to_owned(),
        (ScheduleSource::Runtime, _) => "set at run time".to_owned(),
    };
    line("from", source);
    if let Some(at) = schedule.paused_at {
        line("paused", format!("since {at}, until `schedules resume`"));
    }
    if let Some(remark) = &schedule.remark {
        line("note", remark.clone());
    }
    if let Some(error) = &schedule.error_message {
        line("error", error.clone());
    }
    if let (Some(slot), Some(run_id)) = (schedule.last_slot, &schedule.last_run_id) {
        line("last", format!("{slot}  {run_id}"));
    }
    for next in &schedule.next {
        line("next", next.to_string());
    }
    text
}
