//! How a schedule's program is made.

use serde_json::{Map, Value};

use super::{Slot, StoredSchedule};
use crate::{
    error::Result,
    json,
    program::{Arguments, Checked, Programs},
    time::Timestamp,
};

/// Makes the program of a schedule for a slot, or for now where somebody wants it now. Its attributes name
/// the schedule and the slot.
///
/// # Errors
/// This binary does not have the program, its arguments do not fit, or its function's own.
pub(crate) async fn make(
    programs: &Programs,
    schedule: &StoredSchedule,
    slot: Option<Timestamp>,
) -> Result<Checked> {
    let definition = programs.require(&schedule.program)?;
    let given: Map<String, Value> = json::read(&schedule.arguments)?;
    let mut arguments = given
        .into_iter()
        .fold(Arguments::new(), |all, (name, value)| all.json(name, value));
    let mut attributes = vec![("schedule", schedule.name.clone())];
    if let Some(slot) = slot {
        arguments = arguments.with_slot(Slot::at(slot));
        attributes.push(("slot", slot.to_string()));
    }
    let mut program = definition.make(arguments).await?;
    program.add_attributes(attributes);
    program.checked()
}
