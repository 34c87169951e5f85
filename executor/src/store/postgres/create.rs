//! Creation of programs: columns as arrays, one statement.

use crate::store::{
    NewProgram,
    sql::{Outcome, Session, create::row, statement::sql},
};

macro_rules! insert {
    ($where:literal, $order:literal) => {
        concat!(
            "INSERT INTO {t} (run_id, name, queue, jobs, job, program_data, job_data, attributes,
               priority, unique_key, retry_after, parent_run_id, available_at, order_key, ready)
             SELECT w.run_id, w.name, w.queue, w.jobs::jsonb, w.job, w.program_data::jsonb,
               w.job_data::jsonb, w.attributes::jsonb, w.priority, w.unique_key, w.retry_after,
               w.parent, due.at, due.at + w.priority * 60000,
               CASE WHEN due.at <= {now_ms} THEN 1 ELSE 0 END
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

/// Inserts programs; the run ids of those that were. Keys are inserted in their order, so that two
/// who insert the same ones wait for each other one way only.
pub(super) async fn insert<S: Session>(
    s: &mut S,
    programs: &[&NewProgram],
    absent: bool,
) -> Outcome<Vec<String>> {
    const INSERT: &str = insert!("", "");
    const INSERT_KEYED: &str = insert!("", " ORDER BY w.unique_key");
    const INSERT_ABSENT: &str = insert!(
        " WHERE NOT EXISTS (SELECT FROM {t} p WHERE p.run_id = w.run_id)",
        " ORDER BY w.unique_key"
    );
    let rows: Vec<_> = programs.iter().map(|new| row(new)).collect();
    let template = if absent {
        INSERT_ABSENT
    } else if rows.iter().any(|row| row.unique_key.is_some()) {
        INSERT_KEYED
    } else {
        INSERT
    };
    let statement = sql(template)
        .texts(rows.iter().map(|row| Some(row.run_id.into())))
        .texts(rows.iter().map(|row| row.name.map(Into::into)))
        .texts(rows.iter().map(|row| Some(row.queue.into())))
        .texts(rows.iter().map(|row| Some(row.jobs.as_str().into())))
        .texts(rows.iter().map(|row| Some(row.job.into())))
        .texts(rows.iter().map(|row| Some(row.program_data.into())))
        .texts(rows.iter().map(|row| Some(row.job_data.into())))
        .texts(rows.iter().map(|row| Some(row.attributes.into())))
        .ints(rows.iter().map(|row| Some(row.priority)))
        .texts(rows.iter().map(|row| row.unique_key.map(Into::into)))
        .ints(rows.iter().map(|row| row.retry_after))
        .texts(rows.iter().map(|row| row.parent.map(Into::into)))
        .ints(rows.iter().map(|row| row.at))
        .ints(rows.iter().map(|row| Some(row.after)));
    s.texts(statement).await
}
