//! What people look at.

use serde::Deserialize;

use super::{
    Outcome, Session,
    filter::{Conditions, among},
    number, rows,
    statement::{Statement, composed, sql},
};
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
          WHEN lease_until > {now_ms} THEN 'running'
          WHEN lease_until IS NOT NULL THEN 'available'
          WHEN waiting IS NOT NULL AND ready = 0 THEN 'waiting'
          WHEN ready = 1 OR available_at IS NULL OR available_at <= {now_ms} THEN 'available'
          ELSE 'scheduled' END"
    };
}
pub(super) use state;

/// A row as one JSON text; what may be no JSON stays a text in it.
macro_rules! row {
    () => {
        concat!(
            "{object}('run_id', CAST(COALESCE(run_id, '') AS {text}), 'name', CAST(name AS {text}),
              'state', ",
            state!(),
            ", 'queue', CAST(queue AS {text}), 'jobs', CAST(jobs AS {text}), 'step', {step},
              'token', token, 'step_retry_count', step_retry_count,
              'program_data', CAST(program_data AS {text}), 'job_data', CAST(job_data AS {text}),
              'outputs', CAST(outputs AS {text}), 'attributes', CAST(attributes AS {text}),
              'priority', priority, 'available_at', available_at, 'lease_until', lease_until,
              'worker', worker, 'crashes', crashes, 'unique_key', CAST(unique_key AS {text}),
              'retry_after', retry_after, 'parent_run_id', parent_run_id,
              'created_at', {ms created_at}, 'updated_at', {ms updated_at},
              'finished_at', {ms finished_at}, 'errored_at', {ms errored_at},
              'error_message', CAST(error_message AS {text}), 'errors', CAST(errors AS {text}),
              'limited_by', (SELECT k.name FROM {table parked} k
                WHERE k.program = id AND ready = 0 AND available_at IS NULL),
              'waits_for', (SELECT w.child FROM {table waits} w
                WHERE w.program = id AND w.claim = token AND waiting = 'child'))"
        )
    };
}

pub(in crate::store) async fn get<S: Session>(
    s: &mut S,
    run_id: &RunId,
) -> Outcome<Option<ProgramInfo>> {
    const GET: &str = concat!(
        "SELECT ",
        row!(),
        " FROM {t} WHERE run_id = ? ORDER BY id LIMIT 1"
    );
    let found = s.texts(sql(GET).text(run_id.as_str())).await?;
    Ok(found.first().map(|row| StoredProgram::read(row)))
}

pub(in crate::store) async fn list<S: Session>(
    s: &mut S,
    filter: &Filter,
) -> Outcome<Vec<ProgramInfo>> {
    let states = &filter.states;
    let unfinished = !states.is_empty() && states.iter().all(|state| !state.is_terminal());
    let from = match unfinished {
        true => concat!("SELECT ", row!(), " FROM {t}{unfinished}"),
        false => concat!("SELECT ", row!(), " FROM {t} WHERE 1 = 1"),
    };
    let limit = filter.limit.unwrap_or(100);
    if !filter.attributes.is_empty() {
        return list_by_attributes(s, filter, limit).await;
    }
    let statement = Conditions::of(filter).statement(from, " ORDER BY id DESC LIMIT ?");
    let found = s.texts(statement.int(number(limit))).await?;
    Ok(found.iter().map(|row| StoredProgram::read(row)).collect())
}

/// Attributes are compared here, page by page; the programs themselves are read when it is known which.
async fn list_by_attributes<S: Session>(
    s: &mut S,
    filter: &Filter,
    limit: usize,
) -> Outcome<Vec<ProgramInfo>> {
    const PAGE: &str = "
        SELECT {object}('id', id, 'attributes', CAST(attributes AS {text})) FROM {t}{by_key}
        WHERE id < ?";
    const ROWS: &str = concat!("SELECT ", row!(), " FROM {t}{by_key} WHERE 1 = 1");
    #[derive(Deserialize)]
    struct Page {
        id: i64,
        attributes: String,
    }
    let mut fit = Vec::new();
    let mut below = Some(i64::MAX);
    while let Some(ceiling) = below
        && fit.len() < limit
    {
        let page = Conditions::of(filter).statement(PAGE, " ORDER BY id DESC LIMIT 1000");
        let page = rows::<_, Page>(s, page.first(ceiling)).await?;
        below = page.last().map(|row| row.id);
        fit.extend(
            page.into_iter()
                .filter(|row| filter.fits(&row.attributes))
                .map(|row| row.id),
        );
    }
    fit.truncate(limit);
    let mut found = Vec::with_capacity(fit.len());
    for ids in fit.chunks(1000) {
        let (places, ids) = among(ids);
        let statement = composed(format!("{ROWS}{places} ORDER BY id DESC"));
        let texts = s.texts(ids.fold(statement, Statement::int)).await?;
        found.extend(texts.iter().map(|row| StoredProgram::read(row)));
    }
    Ok(found)
}

pub(in crate::store) async fn children<S: Session>(
    s: &mut S,
    parent: &RunId,
) -> Outcome<Vec<RunId>> {
    const CHILDREN: &str = "SELECT run_id FROM {t} WHERE parent_run_id = ? ORDER BY id LIMIT 1000";
    let found = s.texts(sql(CHILDREN).text(parent.as_str())).await?;
    Ok(found.into_iter().map(RunId::from).collect())
}

pub(in crate::store) async fn stats<S: Session>(s: &mut S) -> Outcome<Stats> {
    const UNFINISHED: &str = concat!(
        "SELECT {object}('queue', queue, 'state', state, 'number', number) FROM (
           SELECT queue, ",
        state!(),
        " AS state, COUNT(*) AS number FROM {t}{dormant} GROUP BY 1, 2
           UNION ALL SELECT queue, 'available', COUNT(*) FROM {t}{available} GROUP BY 1) found"
    );
    const ERRORED: &str = "
        SELECT {object}('number', COUNT(*)) FROM {t}{index errored} WHERE errored_at IS NOT NULL";
    const ALL: &str = "SELECT {object}('number', COUNT(*)) FROM {t}";
    const PAUSED: &str = "SELECT name FROM {table queues} WHERE paused_at IS NOT NULL";
    #[derive(Deserialize)]
    struct Group {
        queue: String,
        state: String,
        number: i64,
    }
    #[derive(Deserialize)]
    struct Count {
        number: i64,
    }

    let mut stats = Stats::default();
    let mut unfinished = 0;
    for group in rows::<_, Group>(s, sql(UNFINISHED)).await? {
        let Ok(state) = group.state.parse::<ProgramState>() else {
            continue;
        };
        unfinished += count(group.number);
        *stats.states.entry(state).or_default() += count(group.number);
        let queue = stats.queues.entry(group.queue).or_default();
        *queue.states.entry(state).or_default() += count(group.number);
    }
    let total = |rows: Vec<Count>| count(rows.first().map_or(0, |row| row.number));
    let errored = total(rows(s, sql(ERRORED)).await?);
    let all = total(rows(s, sql(ALL)).await?);
    for state in ProgramState::ALL {
        stats.states.entry(state).or_default();
    }
    stats.states.insert(ProgramState::Errored, errored);
    stats.states.insert(
        ProgramState::Finished,
        all.saturating_sub(unfinished + errored),
    );
    for queue in s.texts(sql(PAUSED)).await? {
        stats.queues.entry(queue).or_default().paused = true;
    }
    Ok(stats)
}
