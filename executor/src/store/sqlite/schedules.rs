//! Schedules.

use super::{SqliteStore, create};
use crate::{
    schedule::StoredSchedule,
    store::{
        Declared, Filling, ScheduleStore, SetSchedule, Store, StoreFuture, WorkerId, sql::schedules,
    },
};

impl ScheduleStore for SqliteStore {
    fn schedules(&self) -> StoreFuture<'_, Vec<StoredSchedule>> {
        Box::pin(self.read(async |s| schedules::list(s).await))
    }

    fn declare_schedules(&self, worker: WorkerId, declared: Vec<Declared>) -> StoreFuture<'_, ()> {
        Box::pin(self.write(async move |s| schedules::declare(s, worker, &declared).await))
    }

    fn set_schedule(&self, schedule: SetSchedule) -> StoreFuture<'_, ()> {
        Box::pin(self.write(async move |s| schedules::set(s, &schedule).await))
    }

    fn set_schedule_paused(&self, name: String, paused: bool) -> StoreFuture<'_, bool> {
        Box::pin(self.write(async move |s| schedules::set_paused(s, &name, paused).await))
    }

    fn delete_schedule(&self, name: String) -> StoreFuture<'_, bool> {
        Box::pin(self.write(async move |s| schedules::delete(s, &name).await))
    }

    fn fill_slots(&self, filling: Filling) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let filled = self.write(async move |s| {
                if !schedules::take_slots(s, &filling).await? {
                    return Ok(false);
                }
                let created = create::create(s, &filling.programs)?;
                schedules::note_filled(s, &filling.schedule.name, created).await?;
                Ok(true)
            });
            let filled = filled.await?;
            if filled {
                self.ring();
            }
            Ok(filled)
        })
    }

    fn note_schedule_error(
        &self,
        schedule: StoredSchedule,
        message: String,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write(async move |s| schedules::note_error(s, &schedule, &message).await))
    }
}
