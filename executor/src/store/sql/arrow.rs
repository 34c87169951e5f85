//! The arrows of the state chart that a worker takes, as SQL.
//!
//! Each is a list of columns to set, written once: for one program (`UPDATE … WHERE id = ?`), and
//! for many at once, in which the places of values become columns of a table of values. Columns are
//! set in an order that does not matter: no column is read behind the place where it is set.

use super::{
    history, millis,
    statement::{Statement, Texts, Value, sql},
};
use crate::store::{Change, Fence, StepWrite};

/// What an arrow does to a row.
pub(in crate::store) struct Arrow {
    /// The columns it sets; `{?}` and `{json}` are the places of its values.
    pub(in crate::store) set: &'static str,
    /// Where else than at a matching fence it does nothing.
    pub(in crate::store) only: &'static str,
    /// The whole statement for a row whose lease is there.
    leased: &'static str,
    /// The whole statement for a row whose lease had run out, and that nobody has taken.
    expired: &'static str,
    /// Whether the claim goes on.
    goes_on: bool,
}

macro_rules! arrow {
    (@make $set:expr, $only:literal, $goes_on:literal, $expired:expr) => {
        Arrow {
            set: $set,
            only: $only,
            goes_on: $goes_on,
            leased: concat!(
                "UPDATE {t} SET rev = rev + 1, updated_at = {now}, ",
                $set,
                " WHERE id = ? AND token = ? AND rev = ? AND errored_at IS NULL",
                " AND finished_at IS NULL AND ready = 0",
                $only
            ),
            expired: concat!(
                "UPDATE {t} SET rev = rev + 1, updated_at = {now}, ",
                $expired,
                $set,
                " WHERE id = ? AND token = ? AND rev = ? AND errored_at IS NULL",
                " AND finished_at IS NULL",
                $only
            ),
        }
    };
    // The claim goes on: a lease that had run out begins anew.
    (goes_on $set:expr) => {
        arrow!(@make $set, "", true, "ready = 0, lease_until = {now_ms} + ?, ")
    };
    (ends $set:expr) => {
        arrow!(@make $set, "", false, "ready = 0, ")
    };
    (ends $set:expr, only $only:literal) => {
        arrow!(@make $set, $only, false, "ready = 0, ")
    };
    // The set itself says whether the row is ready.
    (readies $set:expr) => {
        arrow!(@make $set, "", false, "")
    };
}

macro_rules! step_done {
    () => {
        step_done!("1")
    };
    ($steps:literal) => {
        concat!(
            "step = COALESCE(step, 0) + ",
            $steps,
            ", cur_step = cur_step + 1, step_retry_count = 0, crashes = 0, child_ordinal = 0, \
             completion = NULL"
        )
    };
}

const SAVE: Arrow = arrow!(goes_on "crashes = 0, job_data = {json}, child_ordinal = {?}");
const ADVANCE: Arrow =
    arrow!(goes_on concat!(step_done!(), ", outputs = COALESCE({json}, outputs)"));
const ADVANCE_AND_RELEASE: Arrow = arrow!(readies concat!(
    step_done!(),
    ", outputs = COALESCE({json}, outputs), job = {?}, lease_until = NULL, worker = NULL, \
     available_at = {now_ms}, order_key = {now_ms} + priority * 60000, ready = 1"
));
const FINISH: Arrow = arrow!(ends concat!(
    step_done!("{last_step}"),
    ", outputs = COALESCE({json}, outputs), job = NULL, lease_until = NULL, worker = NULL, \
     finished_at = {now}"
));
const RETRY: Arrow = arrow!(ends
    "step_retry_count = COALESCE(step_retry_count, 0) + 1, crashes = 0, error_message = {?}, \
     errors = {history}, job = {job}, lease_until = NULL, worker = NULL, \
     available_at = {now_ms} + {?}");
const FAIL: Arrow = arrow!(ends
    "error_message = {?}, errors = {history}, lease_until = NULL, worker = NULL, errored_at = {now}");
const SNOOZE: Arrow = arrow!(ends
    "crashes = 0, child_ordinal = {?}, job = {job}, lease_until = NULL, worker = NULL, \
     available_at = {now_ms} + {?}");
// Not where the report has come while the job still ran.
const HAND_OFF: Arrow = arrow!(ends
    "waiting = 'hand_off', crashes = 0, child_ordinal = {?}, job = {job}, lease_until = NULL, \
     worker = NULL, available_at = {now_ms} + retry_after",
    only " AND completion IS NULL");
// Nor this: then there is nothing to wait for, and nothing is started.
const AWAIT: Arrow = arrow!(ends
    "waiting = 'child', crashes = 0, child_ordinal = {?}, job = {job}, lease_until = NULL, \
     worker = NULL, available_at = NULL",
    only " AND completion IS NULL");
const GIVE_BACK: Arrow =
    arrow!(readies "job = {job}, lease_until = NULL, worker = NULL, ready = 1");

const ADVANCE_AND_HAND_OVER: Arrow = arrow!(goes_on concat!(
    step_done!(),
    ", outputs = COALESCE({json}, outputs), job = {?}, available_at = NULL"
));
const HAND_OVER: Arrow = arrow!(goes_on "available_at = NULL");
const HANDED_OVER: Arrow =
    arrow!(ends "crashes = 0, job = NULL, lease_until = NULL, worker = NULL, available_at = NULL");

/// The arrow of a write, and its values in the order of their places.
pub(in crate::store) fn of(write: &StepWrite) -> (&'static Arrow, Vec<Value<'_>>) {
    let text = |text: &'_ str| Value::Text(Some(text.to_owned().into()));
    let ordinal = Value::Int(Some(i64::from(write.ordinal)));
    let later = |delay| Value::Int(Some(millis(delay)));
    match &write.change {
        Change::Save { job_data } => (&SAVE, vec![borrowed(job_data), ordinal]),
        Change::Advance { outputs, .. } => (&ADVANCE, vec![maybe(outputs)]),
        Change::AdvanceAndRelease { next, outputs } => {
            (&ADVANCE_AND_RELEASE, vec![maybe(outputs), borrowed(next)])
        }
        Change::Finish { outputs } => (&FINISH, vec![maybe(outputs)]),
        Change::Retry { failure, after } => {
            let entry = text(&history::entry(failure));
            (
                &RETRY,
                vec![borrowed(&failure.message), entry, later(*after)],
            )
        }
        Change::Fail { failure } => {
            let entry = text(&history::entry(failure));
            (&FAIL, vec![borrowed(&failure.message), entry])
        }
        Change::Snooze { after } => (&SNOOZE, vec![ordinal, later(*after)]),
        Change::HandOff { .. } => (&HAND_OFF, vec![ordinal]),
        Change::Await { .. } => (&AWAIT, vec![ordinal]),
        Change::GiveBack => (&GIVE_BACK, Vec::new()),
        Change::AdvanceAndHandOver { next, outputs } => {
            (&ADVANCE_AND_HAND_OVER, vec![maybe(outputs), borrowed(next)])
        }
        Change::HandOver => (&HAND_OVER, Vec::new()),
        Change::HandedOver => (&HANDED_OVER, Vec::new()),
    }
}

fn borrowed(text: &str) -> Value<'_> {
    Value::Text(Some(text.into()))
}

fn maybe(text: &Option<String>) -> Value<'_> {
    Value::Text(text.as_deref().map(Into::into))
}

impl Arrow {
    /// For one program; `leased`: only where the lease is still there.
    pub(super) fn statement<'a>(
        &self,
        values: Vec<Value<'a>>,
        write: &StepWrite,
        leased: bool,
    ) -> Statement<'a> {
        let mut statement = if leased {
            sql(self.leased)
        } else {
            sql(self.expired)
        };
        if !leased && self.goes_on {
            statement = statement.int(millis(write.lease));
        }
        let statement = values.into_iter().fold(statement, Statement::value);
        fenced(statement, write.fence)
    }

    /// For many programs: the columns it sets, from `c1`, `c2`, … of a table of values.
    #[cfg(feature = "server")]
    pub(in crate::store) fn set_from_columns(&self, texts: &Texts, table: &str) -> String {
        let set = texts.fill(self.set);
        let mut text = String::with_capacity(set.len() + 16);
        for (at, piece) in set.split('?').enumerate() {
            if at > 0 {
                text.push_str(&format!("{table}.c{at}"));
            }
            text.push_str(piece);
        }
        text
    }
}

pub(super) fn fenced(statement: Statement<'_>, fence: Fence) -> Statement<'_> {
    statement.int(fence.id).int(fence.token).int(fence.rev)
}
