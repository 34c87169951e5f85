use std::fmt::Write;

use contest::{Part, Report};

use crate::{Arguments, contestants::Contestant, round::Results};

/// The medians of the rounds, and how each compares to the best peer's.
pub(crate) fn markdown(
    contestants: &[&'static Contestant],
    arguments: &Arguments,
    results: &Results,
) -> String {
    let columns: Vec<Column> = arguments
        .parts
        .iter()
        .flat_map(|part| columns(*part))
        .collect();
    let mut table = String::from("|");
    for title in std::iter::once("").chain(columns.iter().map(|column| column.title)) {
        let _ = write!(table, " {title} |");
    }
    table.push_str("\n|");
    table.push_str(&" --- |".repeat(columns.len() + 1));
    let mut notes = Vec::new();
    let best: Vec<Option<f64>> = columns
        .iter()
        .map(|column| column.best_peer(contestants, results))
        .collect();
    for contestant in contestants {
        let _ = write!(table, "\n| {} |", contestant.name);
        for (column, best) in columns.iter().zip(&best) {
            let reports = results.of(contestant, column.part);
            let _ = match column.median(reports) {
                Some(value) => write!(
                    table,
                    " {}{} |",
                    column.show(value),
                    column.ratio(value, *best)
                ),
                None => write!(table, " – |"),
            };
        }
        notes.extend(self::notes(contestant, arguments, results));
    }
    let rounds = match arguments.rounds {
        1 => "One round".to_owned(),
        rounds => format!("Medians of {rounds} rounds"),
    };
    let _ = writeln!(
        table,
        "\n\n{rounds} of {} programs; × is how many times as good as the best peer.\n",
        arguments.count
    );
    for note in notes {
        let _ = writeln!(table, "- {note}");
    }
    table
}

struct Column {
    title: &'static str,
    part: Part,
    figure: fn(&Report) -> Option<f64>,
    /// Whether less is better, as of a wait.
    wait: bool,
}

fn columns(part: Part) -> Vec<Column> {
    let rate = |title| Column {
        title,
        part,
        figure: |report| report.per_second,
        wait: false,
    };
    let wait = |title, figure| Column {
        title,
        part,
        figure,
        wait: true,
    };
    match part {
        Part::OneByOne => vec![rate("created one by one /s")],
        Part::FiftyAtOnce => vec![rate("by 50 at once /s")],
        Part::Bulk => vec![rate("in bulk /s")],
        Part::Drain1 => vec![rate("1-step drain /s")],
        Part::Drain2 => vec![rate("2-step drain /s")],
        Part::Latency => vec![
            wait("starts after, p50 ms", |report| report.p50_ms),
            wait("p99 ms", |report| report.p99_ms),
        ],
    }
}

impl Column {
    fn median(&self, reports: &[Report]) -> Option<f64> {
        let mut figures: Vec<f64> = reports.iter().filter_map(self.figure).collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        if figures.len() % 2 == 1 {
            return figures.get(middle).copied();
        }
        Some((figures.get(middle.checked_sub(1)?)? + figures.get(middle)?) / 2.0)
    }

    fn best_peer(&self, contestants: &[&'static Contestant], results: &Results) -> Option<f64> {
        contestants
            .iter()
            .filter(|contestant| contestant.peer)
            .filter_map(|peer| self.median(results.of(peer, self.part)))
            .reduce(if self.wait { f64::min } else { f64::max })
    }

    fn show(&self, value: f64) -> String {
        if self.wait {
            return format!("{value:.1}");
        }
        let digits = format!("{value:.0}");
        let mut shown = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                shown.push(',');
            }
            shown.push(digit);
        }
        shown
    }

    fn ratio(&self, value: f64, best: Option<f64>) -> String {
        let Some(best) = best else {
            return String::new();
        };
        let ratio = if self.wait {
            best / value
        } else {
            value / best
        };
        match ratio {
            ratio if ratio >= 10.0 => format!(" ({ratio:.0} ×)"),
            ratio if ratio >= 1.0 => format!(" ({ratio:.1} ×)"),
            ratio => format!(" ({ratio:.2} ×)"),
        }
    }
}

/// What must be known to read a contestant's figures.
fn notes(contestant: &Contestant, arguments: &Arguments, results: &Results) -> Vec<String> {
    let mut notes = Vec::new();
    for part in &arguments.parts {
        let reports = results.of(contestant, *part);
        let mut note = |text: &str| {
            notes.push(format!("{}, {}: {text}", contestant.name, part.name()));
        };
        let skipped: Vec<_> = reports
            .iter()
            .filter_map(|report| report.skipped.as_ref())
            .collect();
        if let Some(why) = skipped.first() {
            match reports.len() - skipped.len() {
                0 => note(why),
                _ => note(&format!(
                    "{} of {} rounds: {why}",
                    skipped.len(),
                    reports.len()
                )),
            }
        }
        if skipped.len() == reports.len() {
            continue;
        }
        let count = contestant.count(*part, arguments.count);
        if count < arguments.count {
            note(&format!("{count} programs"));
        }
        if let Some(remark) = contestant.remark(*part) {
            note(remark);
        }
        let again: usize = reports.iter().filter_map(|report| report.run_again).sum();
        if again > 0 {
            note(&format!("{again} bodies ran again"));
        }
    }
    notes
}
