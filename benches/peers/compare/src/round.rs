use std::{collections::HashMap, process::Stdio, time::Duration};

use contest::{Database, Part, Report, Result};
use tokio::process::Command;

use crate::{Arguments, contestants::Contestant};

/// No measuring may take longer than this.
const PATIENCE: Duration = Duration::from_secs(180);

/// What was measured so far, by contestant and part.
#[derive(Default)]
pub(crate) struct Results(HashMap<(&'static str, &'static str), Vec<Report>>);

impl Results {
    /// One report a round; none where the contestant was not asked.
    pub(crate) fn of(&self, contestant: &Contestant, part: Part) -> &[Report] {
        let reports = self.0.get(&(contestant.name, part.name()));
        reports.map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, contestant: &Contestant, part: Part, report: Report) {
        let reports = self.0.entry((contestant.name, part.name()));
        reports.or_default().push(report);
    }
}

/// One part of one round: all contestants after each other, each round beginning with another one.
#[allow(clippy::print_stderr, reason = "shows that it goes on")]
pub(crate) async fn run(
    contestants: &[&'static Contestant],
    part: Part,
    number: usize,
    arguments: &Arguments,
    results: &mut Results,
) -> Result<()> {
    let admin = Database::connect(&arguments.database_url).await?;
    for place in 0..contestants.len() {
        let contestant = contestants[(place + number) % contestants.len()];
        let database = database_name(contestant, number);
        admin
            .execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
            .await?;
        admin
            .execute(&format!("CREATE DATABASE {database}"))
            .await?;
        let url = with_database(&arguments.database_url, &database)?;
        let report = measure(contestant, part, &url, arguments.count).await;
        admin
            .execute(&format!("DROP DATABASE {database} WITH (FORCE)"))
            .await?;
        let report = report.unwrap_or_else(|error| Report::skipped(format!("failed: {error}")));
        eprintln!(
            "round {}, {}: {}",
            number + 1,
            contestant.name,
            report.line(part)?
        );
        results.add(contestant, part, report);
    }
    Ok(())
}

async fn measure(contestant: &Contestant, part: Part, url: &str, count: usize) -> Result<Report> {
    let run = Command::new(contestant.path()?)
        .args(["--database-url", url, "--part", part.name()])
        .args(["--count", &contestant.count(part, count).to_string()])
        .args(contestant.arguments)
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run)
        .await
        .map_err(|_| format!("it took longer than {} s", PATIENCE.as_secs()))??;
    if !output.status.success() {
        return Err(output.status.to_string().into());
    }
    Report::from_output(std::str::from_utf8(&output.stdout)?, part)
}

fn database_name(contestant: &Contestant, number: usize) -> String {
    let name: String = contestant
        .name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    format!("executor_bench_{name}_{number}")
}

/// The same server, another database.
fn with_database(url: &str, database: &str) -> Result<String> {
    let (server, _) = url
        .rsplit_once('/')
        .filter(|(server, _)| server.contains("//"))
        .ok_or("the database URL names no database")?;
    Ok(format!("{server}/{database}"))
}
