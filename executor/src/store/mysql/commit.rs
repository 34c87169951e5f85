//! Writes of running programs: one statement locks those that are as their workers know them, and
//! one for each arrow writes them.
//!
//! A row that some client holds locked is passed over, so that nobody's forgotten transaction holds
//! up the others (SEMANTICS §1.3).

use std::collections::HashMap;

use diesel::sql_types::BigInt;

use super::{MySession, rows::Rows};
use crate::store::{
    StepWrite,
    server::Straight,
    sql::{
        Outcome, Session,
        arrow::{self, Arrow},
        statement::{Statement, Texts, Value, composed},
    },
};

/// Writes those that are as their workers know them; `last`: and ends the transaction where it can, in
/// one go with the last statements.
pub(super) async fn commit(
    s: &mut MySession,
    writes: &[StepWrite],
    last: bool,
) -> Outcome<Vec<Straight>> {
    let groups = groups(writes);
    let locked = s
        .rows::<(BigInt, BigInt), (i64, i64)>(lock(&groups))
        .await?;
    let locked: HashMap<i64, i64> = locked.into_iter().collect();
    let mut script = String::new();
    for group in groups {
        match group.write(s.filler(), |id| locked.contains_key(&id)) {
            Some(Write::Values(statement)) => drop(s.run(statement).await?),
            Some(Write::Alike(text)) => script.extend([text.as_str(), ";"]),
            None => {}
        }
    }
    if !script.is_empty() {
        if last {
            s.last_script(script).await?;
        } else {
            s.script(&script).await?;
        }
    }
    let straight = |write: &StepWrite| match locked.get(&write.fence.id) {
        Some(0) => Straight::Written,
        Some(_) => Straight::Paused,
        None => Straight::Not,
    };
    Ok(writes.iter().map(straight).collect())
}

/// The writes that take one arrow, and their values.
pub(super) struct Group<'a> {
    arrow: &'static Arrow,
    writes: Vec<(&'a StepWrite, Vec<Value<'a>>)>,
}

/// The writes by their arrows.
pub(super) fn groups(writes: &[StepWrite]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for write in writes {
        let (arrow, values) = arrow::of(write);
        let same = groups
            .iter_mut()
            .find(|group| std::ptr::eq(group.arrow, arrow));
        match same {
            Some(group) => group.writes.push((write, values)),
            None => groups.push(Group {
                arrow,
                writes: vec![(write, values)],
            }),
        }
    }
    groups
}

/// Locks the rows, and tells which of them are of a paused queue.
pub(super) fn lock(groups: &[Group<'_>]) -> Statement<'static> {
    let mut rows = Rows::new();
    let mut only = String::new();
    for (at, group) in (0..).zip(groups) {
        if !group.arrow.only.is_empty() {
            only.push_str(&format!(
                " AND (w.warrow <> {at} OR (1 = 1{}))",
                group.arrow.only
            ));
        }
        for (write, _) in &group.writes {
            let fence = write.fence;
            rows.push(
                &[fence.id, fence.token, fence.rev, at].map(|number| Value::Int(Some(number))),
            );
        }
    }
    let text = format!(
        "SELECT p.id, (SELECT COUNT(*) FROM {{table queues}} WHERE paused_at IS NOT NULL) > 0
           AND p.queue IN (SELECT q.name FROM {{table queues}} q WHERE q.paused_at IS NOT NULL)
         FROM JSON_TABLE(?, '$[*]' COLUMNS (wid BIGINT PATH '$[0]', wtoken BIGINT PATH '$[1]',
             wrev BIGINT PATH '$[2]', warrow BIGINT PATH '$[3]')) w
           STRAIGHT_JOIN {{t}} p FORCE INDEX (PRIMARY) ON p.id = w.wid
         WHERE p.token = w.wtoken AND p.rev = w.wrev AND p.ready = 0 AND p.errored_at IS NULL
           AND p.finished_at IS NULL{only} FOR UPDATE SKIP LOCKED"
    );
    composed(text).text(rows.into_text())
}

/// How a group is written.
pub(super) enum Write {
    /// Each row with values of its own.
    Values(Statement<'static>),
    /// All rows alike: a text with their keys in it, which takes half the time of a join with a table
    /// of values.
    Alike(String),
}

impl Group<'_> {
    /// Writes those rows that are locked.
    pub(super) fn write(&self, texts: &Texts, locked: impl Fn(i64) -> bool) -> Option<Write> {
        let writes = self.writes.iter();
        let writes: Vec<_> = writes.filter(|(write, _)| locked(write.fence.id)).collect();
        let (_, first) = writes.first()?;
        let is_null = |value: &Value<'_>| matches!(value, Value::Int(None) | Value::Text(None));
        if writes.iter().all(|(_, values)| values.iter().all(is_null)) {
            let ids: Vec<_> = writes.iter().map(|(w, _)| w.fence.id.to_string()).collect();
            let set = self
                .arrow
                .set
                .replace("{?}", "NULL")
                .replace("{json}", "NULL");
            return Some(Write::Alike(format!(
                "UPDATE {{t}} FORCE INDEX (PRIMARY) SET rev = rev + 1, updated_at = {{now}}, {set}
                 WHERE id IN ({})",
                ids.join(",")
            )));
        }
        let mut columns = String::new();
        for (at, value) in (1..).zip(first) {
            let kind = match value {
                Value::Int(_) | Value::Ints(_) => "BIGINT",
                Value::Text(_) | Value::Texts(_) => "LONGTEXT CHARACTER SET utf8mb4",
            };
            columns.push_str(&format!(", c{at} {kind} PATH '$[{at}]'"));
        }
        let mut rows = Rows::new();
        for (write, values) in writes {
            let id = Value::Int(Some(write.fence.id));
            rows.push(std::iter::once(&id).chain(values));
        }
        let set = self.arrow.set_from_columns(texts, "w");
        let text = format!(
            "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (wid BIGINT PATH '$[0]'{columns})) w
               STRAIGHT_JOIN {{t}} p FORCE INDEX (PRIMARY) ON p.id = w.wid
             SET p.rev = p.rev + 1, updated_at = {{now}}, {set}"
        );
        Some(Write::Values(composed(text).text(rows.into_text())))
    }
}
