//! Schedules.

use super::{Begin, Database, PATIENCE, ServerStore, create, verb};
use crate::{
    schedule::StoredSchedule,
    store::{
        Declared, Filling, ScheduleStore, SetSchedule, Store, StoreFuture, WorkerId, sql::schedules,
    },
};

impl<D: Database> ScheduleStore for ServerStore<D> {
    fn schedules(&self) -> StoreFuture<'_, Vec<StoredSchedule>> {
        Box::pin(async move {
            verb!(self.0, others, Look, self.0.deadline, |s| schedules::list(
                s
            ))
        })
    }

    fn declare_schedules(&self, worker: WorkerId, declared: Vec<Declared>) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            verb!(self.0, others, Engine, self.0.deadline, |s| {
                schedules::declare(s, worker, &declared)
            })
        })
    }

    fn set_schedule(&self, schedule: SetSchedule) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            verb!(self.0, others, Engine, PATIENCE, |s| schedules::set(
                s, &schedule
            ))
        })
    }

    fn set_schedule_paused(&self, name: String, paused: bool) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            verb!(self.0, others, Engine, PATIENCE, |s| schedules::set_paused(
                s, &name, paused
            ))
        })
    }

    fn delete_schedule(&self, name: String) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            verb!(self.0, others, Engine, PATIENCE, |s| schedules::delete(
                s, &name
            ))
        })
    }

    fn fill_slots(&self, filling: Filling) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let filled = verb!(self.0, others, Engine, self.0.deadline, |s| async {
                if !schedules::take_slots(s, &filling).await? {
                    return Ok(false);
                }
                let programs: Vec<_> = filling.programs.iter().collect();
                let created = create::insert::<D, _>(s, &programs, false).await?;
                schedules::note_filled(s, &filling.schedule.name, created).await?;
                Ok(true)
            })?;
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
        Box::pin(async move {
            verb!(self.0, others, Engine, self.0.deadline, |s| {
                schedules::note_error(s, &schedule, &message)
            })
        })
    }
}
