//! Schedules. Which slot is due, the database's clock alone decides; that each is filled once, the
//! condition on the last one.

use serde::Deserialize;

use super::{Outcome, Session, rows, statement::sql};
use crate::{
    run_id::RunId,
    schedule::{ScheduleSource, StoredSchedule},
    store::{Created, Declared, Filling, SetSchedule, WorkerId},
    time::Timestamp,
};

pub(in crate::store) async fn list<S: Session>(s: &mut S) -> Outcome<Vec<StoredSchedule>> {
    const LIST: &str = "
        SELECT {object}('name', name, 'program', program, 'arguments', arguments, 'cron', cron,
          'timezone', timezone, 'catch_up', catch_up, 'source', source, 'edited_at', edited_at,
          'paused_at', paused_at, 'changed_at', changed_at, 'last_slot', last_slot,
          'last_run_id', last_run_id, 'error_message', error_message, 'now', {now_ms})
        FROM {table schedules} ORDER BY name";
    let found = rows::<_, Row>(s, sql(LIST)).await?;
    Ok(found.into_iter().map(Row::read).collect())
}

#[derive(Deserialize)]
struct Row {
    name: String,
    program: String,
    arguments: String,
    cron: String,
    timezone: String,
    catch_up: String,
    source: String,
    edited_at: Option<i64>,
    paused_at: Option<i64>,
    changed_at: i64,
    last_slot: Option<i64>,
    last_run_id: Option<RunId>,
    error_message: Option<String>,
    now: i64,
}

impl Row {
    fn read(self) -> StoredSchedule {
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        StoredSchedule {
            // What somebody has spoilt by hand is as if it said nothing: the others go on.
            catch_up: self.catch_up.parse().unwrap_or_default(),
            source: match &*self.source {
                CODE => ScheduleSource::Code,
                _ => ScheduleSource::Runtime,
            },
            edited_at: time(self.edited_at),
            paused_at: time(self.paused_at),
            changed_at: Timestamp::from_millis(self.changed_at),
            last_slot: time(self.last_slot),
            now: Timestamp::from_millis(self.now),
            name: self.name,
            program: self.program,
            arguments: self.arguments,
            cron: self.cron,
            timezone: self.timezone,
            last_run_id: self.last_run_id,
            error_message: self.error_message,
        }
    }
}

const CODE: &str = "code";

macro_rules! insert {
    ($source:literal) => {
        concat!(
            "{insert} INTO {table schedules} (name, program, arguments, cron, timezone, catch_up, source,
               changed_at) VALUES (?, ?, ?, ?, ?, ?, '",
            $source,
            "', {now_ms}){absent}"
        )
    };
}

pub(in crate::store) async fn declare<S: Session>(
    s: &mut S,
    worker: WorkerId,
    declared: &[Declared],
) -> Outcome<()> {
    const FORGET: &str = "
        DELETE FROM {table carriers} WHERE worker = ?
          OR worker NOT IN (SELECT id FROM {table workers})";
    const CARRY: &str = "
        {insert} INTO {table carriers} (worker, name, cron, timezone, catch_up)
        VALUES (?, ?, ?, ?, ?){absent}";
    const INSERT: &str = insert!("code");
    // What a live worker's binary says holds till the last of them is gone, and then the next one's: two
    // binaries that differ don't take turns.
    const CHANGE: &str = "
        UPDATE {table schedules} AS s SET cron = ?, timezone = ?, catch_up = ?,
          changed_at = {now_ms}, error_message = NULL
        WHERE name = ? AND source = 'code' AND edited_at IS NULL
          AND (cron <> ? OR timezone <> ? OR catch_up <> ?)
          AND NOT EXISTS (
            SELECT 1 FROM {table carriers} c JOIN {table workers} w ON w.id = c.worker
            WHERE c.name = s.name AND c.cron = s.cron AND c.timezone = s.timezone
              AND c.catch_up = s.catch_up AND w.seen_at >= {now_ms} - w.lease)";
    let worker = worker.to_string();
    s.run(sql(FORGET).text(&worker)).await?;
    for declared in declared {
        let Declared {
            name,
            cron,
            timezone,
            catch_up,
        } = *declared;
        let catch_up = catch_up.as_str();
        let carry = sql(CARRY).text(&worker).text(name).text(cron);
        s.run(carry.text(timezone).text(catch_up)).await?;
        let insert = sql(INSERT).text(name).text(name).text("{}").text(cron);
        s.run(insert.text(timezone).text(catch_up)).await?;
        let change = sql(CHANGE).text(cron).text(timezone).text(catch_up);
        let change = change.text(name).text(cron).text(timezone).text(catch_up);
        s.run(change).await?;
    }
    Ok(())
}

pub(in crate::store) async fn set<S: Session>(s: &mut S, schedule: &SetSchedule) -> Outcome<()> {
    const INSERT: &str = insert!("runtime");
    const EDIT: &str = "
        UPDATE {table schedules} SET program = ?, arguments = ?, cron = ?, timezone = ?, catch_up = ?,
          edited_at = {now_ms}, changed_at = {now_ms}, error_message = NULL
        WHERE name = ?";
    let SetSchedule {
        name,
        program,
        arguments,
        cron,
        timezone,
        catch_up,
    } = schedule;
    let insert = sql(INSERT).text(name).text(program).text(arguments);
    let insert = insert.text(cron).text(timezone).text(catch_up.as_str());
    s.run(insert).await?;
    let edit = sql(EDIT).text(program).text(arguments).text(cron);
    s.run(edit.text(timezone).text(catch_up.as_str()).text(name))
        .await?;
    Ok(())
}

pub(in crate::store) async fn set_paused<S: Session>(
    s: &mut S,
    name: &str,
    paused: bool,
) -> Outcome<bool> {
    const PAUSE: &str = "
        UPDATE {table schedules} SET paused_at = {now_ms} WHERE name = ? AND paused_at IS NULL";
    // What passed while it was paused was not missed.
    const RESUME: &str = "
        UPDATE {table schedules} SET paused_at = NULL, changed_at = {now_ms}
        WHERE name = ? AND paused_at IS NOT NULL";
    let statement = sql(if paused { PAUSE } else { RESUME });
    Ok(s.run(statement.text(name)).await? > 0)
}

pub(in crate::store) async fn delete<S: Session>(s: &mut S, name: &str) -> Outcome<bool> {
    const DELETE: &str = "DELETE FROM {table schedules} WHERE name = ?";
    Ok(s.run(sql(DELETE).text(name)).await? > 0)
}

/// Takes the slots for the programs that are stored next in the same transaction; whether it did.
pub(in crate::store) async fn take_slots<S: Session>(
    s: &mut S,
    filling: &Filling,
) -> Outcome<bool> {
    const TAKE: &str = "
        UPDATE {table schedules} SET last_slot = ?, error_message = NULL
        WHERE name = ? AND COALESCE(last_slot, -1) = ? AND changed_at = ? AND paused_at IS NULL
          AND ? <= {now_ms}";
    let schedule = &filling.schedule;
    let last = schedule.last_slot.map_or(-1, Timestamp::as_millis);
    let take = sql(TAKE)
        .int(filling.last_slot.as_millis())
        .text(&schedule.name)
        .int(last)
        .int(schedule.changed_at.as_millis())
        .int(filling.last_slot.as_millis());
    Ok(s.run(take).await? > 0)
}

/// Notes what the slots were filled with.
pub(in crate::store) async fn note_filled<S: Session>(
    s: &mut S,
    name: &str,
    created: Vec<crate::error::Result<Created>>,
) -> Outcome<()> {
    const NOTE: &str = "UPDATE {table schedules} SET last_run_id = ? WHERE name = ?";
    let mut last = None;
    for created in created {
        last = Some(created.map_err(super::Failure::Ours)?.run_id);
    }
    let run_id = last.as_ref().map(RunId::as_str);
    s.run(sql(NOTE).maybe_text(run_id).text(name)).await?;
    Ok(())
}

pub(in crate::store) async fn note_error<S: Session>(
    s: &mut S,
    schedule: &StoredSchedule,
    message: &str,
) -> Outcome<()> {
    const NOTE: &str = "
        UPDATE {table schedules} SET error_message = ? WHERE name = ? AND changed_at = ?";
    let note = sql(NOTE).text(message).text(&schedule.name);
    s.run(note.int(schedule.changed_at.as_millis())).await?;
    Ok(())
}
