//! What people look at.

use diesel::sql_types::{BigInt, Text};

use super::{Outcome, Session, text::Lossy};
use crate::{
    run_id::RunId,
    store::{
        Filter, ProgramInfo, ProgramState, Stats,
        row::{StoredProgram, count},
    },
};

/// The state of a row, in the words of [`ProgramState`].
macro_rules! state {
    () => {
        "CASE WHEN errored_at IS NOT NULL THEN 'errored'
          WHEN finished_at IS NOT NULL THEN 'finished'
          WHEN lease_until > CAST(unixepoch('subsec') * 1000 AS INTEGER) THEN 'running'
          WHEN lease_until IS NOT NULL THEN 'available'
          WHEN waiting IS NOT NULL AND ready = 0 THEN 'waiting'
          WHEN ready = 1 OR available_at IS NULL
            OR available_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER) THEN 'available'
          ELSE 'scheduled' END"
    };
}

/// A text, which somebody may have replaced by bytes that JSON can't hold.
macro_rules! text {
    ($column:literal) => {
        concat!("CAST(", $column, " AS TEXT)")
    };
}

/// A row as one JSON text; what may be no JSON stays a text in it.
macro_rules! row {
    () => {
        concat!(
            "json_object('run_id', ",
            text!("COALESCE(run_id, '')"),
            ", 'name', ",
            text!("name"),
            ", 'state', ",
            state!(),
            ", 'queue', ",
            text!("queue"),
            ", 'jobs', ",
            text!("jobs"),
            ", 'step', step, 'token', token, 'step_retry_count', step_retry_count,",
            " 'program_data', ",
            text!("program_data"),
            ", 'job_data', ",
            text!("job_data"),
            ", 'outputs', ",
            text!("outputs"),
            ", 'attributes', ",
            text!("attributes"),
            ", 'priority', priority, 'available_at', available_at,",
            " 'lease_until', lease_until, 'worker', worker, 'crashes', crashes,",
            " 'unique_key', ",
            text!("unique_key"),
            ", 'retry_after', retry_after,",
            " 'parent_run_id', parent_run_id, 'created_at', ",
            time!("created_at"),
            ", 'updated_at', ",
            time!("updated_at"),
            ", 'finished_at', ",
            time!("finished_at"),
            ", 'errored_at', ",
            time!("errored_at"),
            ", 'error_message', ",
            text!("error_message"),
            ", 'errors', ",
            text!("errors"),
            ")"
        )
    };
}

pub(super) fn get(s: &mut Session<'_>, run_id: &RunId) -> Outcome<Option<ProgramInfo>> {
    const GET: &str = concat!(
        "SELECT ",
        row!(),
        " FROM \"{t}\" WHERE run_id = ? ORDER BY id LIMIT 1"
    );
    let rows = s
        .tables
        .statement(GET)
        .text(run_id.as_str())
        .rows::<Text, Lossy, _>(s.conn)?;
    Ok(rows.first().map(|row| StoredProgram::read(&row.0)))
}

pub(super) fn list(s: &mut Session<'_>, filter: &Filter) -> Outcome<Vec<ProgramInfo>> {
    let mut text = concat!("SELECT ", row!(), " FROM \"{t}\" WHERE 1 = 1").to_owned();
    if !filter.states.is_empty() {
        if filter.states.iter().all(|state| !state.is_terminal()) {
            // The two partial indexes together hold the unfinished programs, and no others.
            text.push_str(concat!(
                " AND id IN (SELECT id FROM \"{t}\" WHERE ready = 1 AND finished_at IS NULL",
                " AND errored_at IS NULL UNION ALL SELECT id FROM \"{t}\" WHERE ready = 0",
                " AND finished_at IS NULL AND errored_at IS NULL)"
            ));
        }
        // States are words of ours, no text from outside.
        let states: Vec<_> = filter
            .states
            .iter()
            .map(|state| format!("'{state}'"))
            .collect();
        text.push_str(concat!(" AND ", state!(), " IN ("));
        text.push_str(&states.join(", "));
        text.push(')');
    }
    for (column, value) in [
        ("queue", &filter.queue),
        ("name", &filter.name),
        ("job", &filter.job),
    ] {
        if value.is_some() {
            text.push_str(&format!(" AND {column} = ?"));
        }
    }
    text.push_str(" ORDER BY id DESC LIMIT ?");
    let mut statement = s.tables.composed(&text);
    for value in [&filter.queue, &filter.name, &filter.job]
        .into_iter()
        .flatten()
    {
        statement = statement.text(value.as_str());
    }
    let limit = i64::try_from(filter.limit.unwrap_or(100)).unwrap_or(i64::MAX);
    let rows = statement.int(limit).rows::<Text, Lossy, _>(s.conn)?;
    Ok(rows.iter().map(|row| StoredProgram::read(&row.0)).collect())
}

pub(super) fn children(s: &mut Session<'_>, parent: &RunId) -> Outcome<Vec<RunId>> {
    const CHILDREN: &str =
        r#"SELECT run_id FROM "{t}" WHERE parent_run_id = ? ORDER BY id LIMIT 1000"#;
    let rows = s
        .tables
        .statement(CHILDREN)
        .text(parent.as_str())
        .rows::<Text, String, _>(s.conn)?;
    Ok(rows.into_iter().map(RunId::from).collect())
}

pub(super) fn stats(s: &mut Session<'_>) -> Outcome<Stats> {
    const UNFINISHED: &str = concat!(
        "SELECT queue, ",
        state!(),
        ", COUNT(*) FROM \"{t}\" INDEXED BY \"{t}_due\"",
        " WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL GROUP BY 1, 2",
        " UNION ALL SELECT queue, 'available', COUNT(*) FROM \"{t}\" INDEXED BY \"{t}_ready\"",
        " WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL GROUP BY 1",
    );
    const ERRORED: &str =
        r#"SELECT COUNT(*) FROM "{t}" INDEXED BY "{t}_errored" WHERE errored_at IS NOT NULL"#;
    const ALL: &str = r#"SELECT COUNT(*) FROM "{t}""#;
    const PAUSED: &str = r#"SELECT name FROM "{t}_queues" WHERE paused_at IS NOT NULL"#;

    let mut stats = Stats::default();
    let mut unfinished = 0;
    let rows = s
        .tables
        .statement(UNFINISHED)
        .rows::<(Text, Text, BigInt), (String, String, i64), _>(s.conn)?;
    for (queue, state, number) in rows {
        let Ok(state) = state.parse::<ProgramState>() else {
            continue;
        };
        unfinished += count(number);
        *stats.states.entry(state).or_default() += count(number);
        let queue = stats.queues.entry(queue).or_default();
        *queue.states.entry(state).or_default() += count(number);
    }
    let number = |rows: Vec<i64>| count(rows.first().copied().unwrap_or(0));
    let errored = number(s.tables.statement(ERRORED).rows::<BigInt, i64, _>(s.conn)?);
    let all = number(s.tables.statement(ALL).rows::<BigInt, i64, _>(s.conn)?);
    for state in ProgramState::ALL {
        stats.states.entry(state).or_default();
    }
    stats.states.insert(ProgramState::Errored, errored);
    stats.states.insert(
        ProgramState::Finished,
        all.saturating_sub(unfinished + errored),
    );
    for queue in s.tables.statement(PAUSED).rows::<Text, String, _>(s.conn)? {
        stats.queues.entry(queue).or_default().paused = true;
    }
    Ok(stats)
}
