//! What the engine asks of a database for schedules.

use super::{NewProgram, StoreFuture, WorkerId};
use crate::{
    schedule::{CatchUp, StoredSchedule},
    time::Timestamp,
};

/// A store's verbs on schedules.
pub(crate) trait ScheduleStore {
    /// All schedules, by name, with the database's time.
    fn schedules(&self) -> StoreFuture<'_, Vec<StoredSchedule>>;

    /// Writes what a worker's binary says of its schedules, where nobody else has a say: what somebody
    /// has edited stays, and so does what another live worker's binary says.
    fn declare_schedules(&self, worker: WorkerId, declared: Vec<Declared>) -> StoreFuture<'_, ()>;

    /// Makes a schedule, or changes the one of this name.
    fn set_schedule(&self, schedule: SetSchedule) -> StoreFuture<'_, ()>;

    /// Pauses or resumes a schedule; whether that changed something.
    fn set_schedule_paused(&self, name: String, paused: bool) -> StoreFuture<'_, bool>;

    /// Deletes a schedule; whether there was one.
    fn delete_schedule(&self, name: String) -> StoreFuture<'_, bool>;

    /// Fills slots: stores their programs, where nobody has done it before, and the schedule is as it was
    /// read. Whether it did. Both or neither are durable.
    fn fill_slots(&self, filling: Filling) -> StoreFuture<'_, bool>;

    /// Notes why a slot can't be filled.
    fn note_schedule_error(&self, schedule: StoredSchedule, message: String)
    -> StoreFuture<'_, ()>;
}

/// What a binary says of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    pub(crate) name: &'static str,
    pub(crate) cron: &'static str,
    pub(crate) timezone: &'static str,
    pub(crate) catch_up: CatchUp,
}

/// What somebody says of a schedule.
#[derive(Clone, Debug)]
pub(crate) struct SetSchedule {
    pub(crate) name: String,
    pub(crate) program: String,
    pub(crate) arguments: String,
    pub(crate) cron: String,
    pub(crate) timezone: String,
    pub(crate) catch_up: CatchUp,
}

/// Slots to be filled.
#[derive(Debug)]
pub(crate) struct Filling {
    /// The schedule, as it was read.
    pub(crate) schedule: StoredSchedule,
    /// The newest of the slots.
    pub(crate) last_slot: Timestamp,
    /// Their programs, oldest first; at least one.
    pub(crate) programs: Vec<NewProgram>,
}
