//! Creation of programs: columns as arrays, one statement.

use super::{PgSession, Postgres, hear};
use crate::store::{
    NewProgram,
    server::Inner,
    sql::{
        Outcome, Session,
        create::row,
        statement::{Statement, sql},
    },
};

macro_rules! insert {
    ($where:literal, $order:literal) => {
        concat!(
            "INSERT INTO {t} (run_id, name, queue, jobs, job, program_data, job_data, attributes,
               priority, unique_key, retry_after, parent_run_id, available_at, order_key, ready,
               step, step_retry_count)
             SELECT w.run_id, w.name, w.queue, w.jobs::jsonb, w.job, w.program_data::jsonb,
               w.job_data::jsonb, w.attributes::jsonb, w.priority, w.unique_key, w.retry_after,
               w.parent, due.at, due.at + w.priority * 60000,
               CASE WHEN due.at <= {now_ms} THEN 1 ELSE 0 END, 0, 0
             FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               AS w (run_id, name, queue, jobs, job, program_data, job_data, attributes, priority,
                 unique_key, retry_after, parent, at, after)
             CROSS JOIN LATERAL (SELECT COALESCE(w.at, {now_ms} + w.after) AS at) due",
            $where,
            $order,
            " ON CONFLICT DO NOTHING RETURNING run_id"
        )
    };
}

/// Inserts programs; the run ids of those that were.
pub(super) async fn insert<S: Session>(
    s: &mut S,
    programs: &[&NewProgram],
    absent: bool,
) -> Outcome<Vec<String>> {
    s.texts(insertion(programs, absent)).await
}

/// Inserts programs, and tells the other processes: both go to the server at once, and the message
/// is sent there when the programs are durable.
pub(super) async fn insert_and_ring(
    s: &mut PgSession,
    store: &Inner<Postgres>,
    programs: &[&NewProgram],
) -> Outcome<Vec<String>> {
    let (inserted, told) = s
        .side_by_side(insertion(programs, false), hear::message(store))
        .await;
    if let Err(error) = told {
        tracing::debug!(%error, "other workers will find by themselves what is due");
    }
    Ok(inserted?)
}

/// Keys are inserted in their order, so that two who insert the same ones wait for each other one
/// way only.
fn insertion<'a>(programs: &[&'a NewProgram], absent: bool) -> Statement<'a> {
    const INSERT: &str = insert!("", "");
    const INSERT_KEYED: &str = insert!("", " ORDER BY w.unique_key");
    const INSERT_ABSENT: &str = insert!(
        " WHERE NOT EXISTS (SELECT FROM {t} p WHERE p.run_id = w.run_id)",
        " ORDER BY w.unique_key"
    );
    let mut rows: Vec<_> = programs.iter().map(|new| row(new)).collect();
    let jobs: Vec<_> = rows
        .iter_mut()
        .map(|row| std::mem::take(&mut row.jobs))
        .collect();
    let template = if absent {
        INSERT_ABSENT
    } else if rows.iter().any(|row| row.unique_key.is_some()) {
        INSERT_KEYED
    } else {
        INSERT
    };
    sql(template)
        .texts(rows.iter().map(|row| Some(row.run_id.into())))
        .texts(rows.iter().map(|row| row.name.map(Into::into)))
        .texts(rows.iter().map(|row| Some(row.queue.into())))
        .texts(jobs.into_iter().map(|jobs| Some(jobs.into())))
        .texts(rows.iter().map(|row| Some(row.job.into())))
        .texts(rows.iter().map(|row| Some(row.program_data.into())))
        .texts(rows.iter().map(|row| Some(row.job_data.into())))
        .texts(rows.iter().map(|row| Some(row.attributes.into())))
        .ints(rows.iter().map(|row| Some(row.priority)))
        .texts(rows.iter().map(|row| row.unique_key.map(Into::into)))
        .ints(rows.iter().map(|row| row.retry_after))
        .texts(rows.iter().map(|row| row.parent.map(Into::into)))
        .ints(rows.iter().map(|row| row.at))
        .ints(rows.iter().map(|row| Some(row.after)))
}
