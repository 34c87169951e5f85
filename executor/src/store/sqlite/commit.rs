//! Writes of running programs, one after the other in one transaction: with statements that stay
//! prepared, and no way to a server, rows gain nothing from being written together.

use super::{
    SqliteSession,
    create::{insert_child, insert_children},
};
use crate::store::{
    StepWrite, Written,
    sql::{
        Failure, Outcome,
        commit::{
            goes_on, is_any_queue_paused, release_if_paused, settle, stores_children, straight,
        },
        waits,
    },
};

pub(super) async fn commit(
    s: &mut SqliteSession<'_>,
    writes: &[StepWrite],
) -> Outcome<Vec<Option<Written>>> {
    let paused = writes.iter().any(goes_on) && is_any_queue_paused(s).await?;
    let mut written = Vec::with_capacity(writes.len());
    for write in writes {
        let done = apply(s, write).await?;
        let goes_on = done == Some(Written::Committed) && goes_on(write);
        written.push(if paused && goes_on {
            Some(release_if_paused(s, write).await?)
        } else {
            done
        });
    }
    Ok(written)
}

/// One write: the straight way where all is as the worker knows it, and else by what is found.
async fn apply(s: &mut SqliteSession<'_>, write: &StepWrite) -> Outcome<Option<Written>> {
    let written = if straight(s, write, true).await? {
        Some(Written::Committed)
    } else {
        settle(s, write).await?
    };
    if matches!(written, Some(Written::Committed | Written::Stopped)) && stores_children(write) {
        insert_children(s, &write.children)?;
    }
    if let Some(child) = waits::to_start(s, write, written.as_ref()).await? {
        let child = insert_child(s, child)?.map_err(Failure::Ours)?.run_id;
        waits::begin(s, write.fence, &child).await?;
    }
    Ok(written)
}
