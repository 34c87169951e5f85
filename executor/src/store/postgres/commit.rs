//! Writes of running programs: one statement for all that take the same arrow.
//!
//! A row that some client holds locked is passed over, so that nobody's forgotten transaction holds
//! up the others (SEMANTICS §1.3); which rows were written is learnt from `RETURNING`.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Bool};

use super::PgSession;
use crate::store::{
    StepWrite,
    server::Straight,
    sql::{
        Outcome,
        arrow::{self, Arrow},
        statement::{Statement, Texts, Value, composed},
    },
};

/// Writes those that are as their workers know them.
pub(super) async fn commit(
    s: &mut PgSession,
    writes: &[StepWrite],
    last: bool,
) -> Outcome<Vec<Straight>> {
    type Sql = (BigInt, Bool);
    let statements = statements(s.filler(), writes);
    let mut written: HashMap<i64, bool> = HashMap::with_capacity(writes.len());
    if last {
        for rows in s.last_rows::<Sql, (i64, bool)>(statements).await? {
            written.extend(rows);
        }
    } else {
        for statement in statements {
            written.extend(s.rows::<Sql, (i64, bool)>(statement).await?);
        }
    }
    let straight = |write: &StepWrite| match written.get(&write.fence.id) {
        Some(false) => Straight::Written,
        Some(true) => Straight::Paused,
        None => Straight::Not,
    };
    Ok(writes.iter().map(straight).collect())
}

/// One statement for all writes that take the same arrow.
pub(super) fn statements<'a>(texts: &Texts, writes: &'a [StepWrite]) -> Vec<Statement<'a>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for write in writes {
        let (arrow, values) = arrow::of(write);
        let same = groups
            .iter_mut()
            .find(|group| std::ptr::eq(group.arrow, arrow));
        match same {
            Some(group) => group.add(write, values),
            None => {
                let mut group = Group::new(arrow, &values);
                group.add(write, values);
                groups.push(group);
            }
        }
    }
    groups
        .into_iter()
        .map(|group| group.statement(texts))
        .collect()
}

/// The writes that take one arrow, as columns.
struct Group<'a> {
    arrow: &'static Arrow,
    ids: Vec<Option<i64>>,
    tokens: Vec<Option<i64>>,
    revs: Vec<Option<i64>>,
    columns: Vec<Value<'a>>,
}

impl<'a> Group<'a> {
    fn new(arrow: &'static Arrow, values: &[Value<'a>]) -> Self {
        let column = |value: &Value<'a>| match value {
            Value::Int(_) | Value::Ints(_) => Value::Ints(Vec::new()),
            Value::Text(_) | Value::Texts(_) => Value::Texts(Vec::new()),
        };
        Self {
            arrow,
            ids: Vec::new(),
            tokens: Vec::new(),
            revs: Vec::new(),
            columns: values.iter().map(column).collect(),
        }
    }

    fn add(&mut self, write: &StepWrite, values: Vec<Value<'a>>) {
        self.ids.push(Some(write.fence.id));
        self.tokens.push(Some(write.fence.token));
        self.revs.push(Some(write.fence.rev));
        for (column, value) in self.columns.iter_mut().zip(values) {
            match (column, value) {
                (Value::Ints(column), Value::Int(value)) => column.push(value),
                (Value::Texts(column), Value::Text(value)) => column.push(value),
                // An arrow's values are of the same kinds for all its writes.
                (_, _) => {}
            }
        }
    }

    fn statement(self, texts: &Texts) -> Statement<'a> {
        let columns: String = (1..=self.columns.len())
            .map(|column| format!(", c{column}"))
            .collect();
        let places = ", ?".repeat(self.columns.len());
        let set = self.arrow.set_from_columns(texts, "l");
        let only = self.arrow.only;
        let text = format!(
            "WITH w AS (SELECT * FROM unnest(?, ?, ?{places}) AS w (wid, wtoken, wrev{columns})
               WHERE {FEW}),
             l AS MATERIALIZED (
               SELECT w.* FROM w CROSS JOIN LATERAL (
                 SELECT FROM {{t}} p WHERE p.id = w.wid AND p.token = w.wtoken AND p.rev = w.wrev
                   AND {UNFINISHED}{only}
                 LIMIT 1 FOR UPDATE SKIP LOCKED) p)
             UPDATE {{t}} p SET rev = p.rev + 1, updated_at = {{now}}, {set}
             FROM l WHERE p.id = l.wid
             RETURNING p.id::bigint, p.queue IN (
               SELECT q.name FROM {{table queues}} q WHERE q.paused_at IS NOT NULL)"
        );
        let statement = composed(text)
            .value(Value::Ints(self.ids))
            .value(Value::Ints(self.tokens))
            .value(Value::Ints(self.revs));
        self.columns.into_iter().fold(statement, Statement::value)
    }
}

/// Always true, and taken for rare: so few rows are expected that no plan is better than to look up
/// each by its key, whatever the statistics say of the table.
const FEW: &str = "wid + 0 = wid";

/// That a program is under its lease, in words that no partial index is made for: an index over all
/// running programs looks as good as the key while there are few.
const UNFINISHED: &str = "p.ready < 1 AND COALESCE(p.errored_at, p.finished_at) IS NULL";
