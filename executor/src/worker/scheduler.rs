//! The trade that starts programs by themselves.
//!
//! It promises that each slot of a schedule is filled by one program, whatever the number of workers and
//! wherever one of them dies: the slot is taken, behind the condition that the last one is still what was
//! read, in the transaction that stores the program. Slots go forward only. No clock of a worker goes in:
//! which slot is due is reckoned from the time that the database gives along with the schedules, and asked
//! of it again when the slot is taken; a worker's own clock only measures how long it sleeps.
//!
//! It does not promise that a slot is filled on time where no worker is there, or the store is away: then it
//! is caught up with, as the schedule says. A program that can't be made, because its function fails, holds
//! up its own schedule alone (one that takes long the others too, for half a minute): the reason is noted in
//! its row, and it is tried again until a newer slot takes its place.
//!
//! Of two binaries that differ in a schedule, as they do during a deploy, the one that came first is heeded
//! as long as a worker of it lives, and then the other: they don't take turns. A schedule that is in one of
//! them only is run by that one only.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    outage::{Outage, Trade},
};
use crate::{
    error::{Error, ErrorKind, Result},
    handle::{Inner, new_program},
    program::{Checked, Programs},
    retry::back_off,
    schedule::{self, Definitions, MOST, ScheduleDefinition, ScheduleSource, StoredSchedule},
    store::{Declared, Filling, Store, WorkerId},
    time::Timestamp,
};

/// How long a change that another process has made to a schedule is not seen at most.
const LOOK: Duration = Duration::from_secs(5);

/// Slots that are filled by one transaction at most.
const AT_ONCE: usize = 100;

/// How long a program's function may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What of this binary can start by itself.
pub(super) struct Scheduled {
    programs: Arc<Programs>,
    definitions: Definitions,
}

impl Scheduled {
    /// `None`: nothing.
    ///
    /// # Errors
    /// Two programs have one name, or a schedule of the code can't be read.
    pub(super) fn collect() -> Result<Option<Self>> {
        let (programs, definitions) = (Programs::collect()?, Definitions::collect()?);
        let any = programs.iter().next().is_some();
        Ok(any.then(|| Self {
            programs: Arc::new(programs),
            definitions,
        }))
    }
}

pub(super) struct Scheduler {
    worker: WorkerId,
    store: Arc<dyn Store>,
    outage: Arc<Outage>,
    scheduled: Scheduled,
    changed: watch::Receiver<()>,
    stopping: CancellationToken,
}

impl Scheduler {
    pub(super) fn new(inner: &Inner, scheduled: Scheduled, shared: &Shared) -> Self {
        Self {
            worker: shared.id,
            store: Arc::clone(&shared.store),
            outage: Arc::clone(&shared.outage),
            scheduled,
            changed: inner.schedules_changed.subscribe(),
            stopping: shared.stopping.clone(),
        }
    }

    /// Fills slots until the worker stops. A transaction that is under way then is waited for.
    pub(super) async fn run(mut self) {
        let mut failed = 0;
        let mut declared = false;
        while !self.stopping.is_cancelled() {
            self.changed.borrow_and_update();
            let pause = match self.look(&mut declared).await {
                Ok(pause) => {
                    self.outage.is_over(Trade::Schedules);
                    failed = 0;
                    pause
                }
                Err(error) => {
                    self.outage.begins(Trade::Schedules, &error);
                    failed += 1;
                    back_off(failed)
                }
            };
            tokio::select! {
                () = self.stopping.cancelled() => return,
                // The sender lives as long as the handle that this worker is of.
                _ = self.changed.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Fills what is due; how long nothing more is.
    async fn look(&self, declared: &mut bool) -> Result<Duration> {
        let mut schedules = self.store.schedules().await?;
        if !*declared || self.code_is_ahead(&schedules) {
            self.declare().await?;
            *declared = true;
            schedules = self.store.schedules().await?;
        }
        let read = Instant::now();
        let mut pause = LOOK;
        for schedule in schedules {
            let definition = self.scheduled.definitions.get(&schedule.name);
            let runs = schedule.paused_at.is_none() && schedule.is_run_by(definition);
            if !runs || self.scheduled.programs.require(&schedule.program).is_err() {
                continue;
            }
            let now = schedule.now;
            match self.fill(&schedule).await {
                Ok(None) => {}
                Ok(Some(next)) => pause = pause.min(next.since(now)),
                Err(error) if error.is_away() => return Err(error),
                // A program that was given up half way has not failed.
                Err(_) if self.stopping.is_cancelled() => break,
                Err(error) => self.note(schedule, &error).await?,
            }
        }
        let pause = pause.saturating_sub(read.elapsed());
        Ok(pause.max(Duration::from_millis(1)))
    }

    async fn declare(&self) -> Result<()> {
        let declare = |definition: &&'static ScheduleDefinition| Declared {
            name: definition.program,
            cron: definition.cron,
            timezone: definition.timezone,
            catch_up: definition.catch_up,
        };
        let declared: Vec<_> = self
            .scheduled
            .definitions
            .all()
            .iter()
            .map(declare)
            .collect();
        if declared.is_empty() {
            return Ok(());
        }
        self.store.declare_schedules(self.worker, declared).await
    }

    /// Whether something of the code stands otherwise in the store, or not at all, that nobody has edited.
    fn code_is_ahead(&self, schedules: &[StoredSchedule]) -> bool {
        self.scheduled.definitions.all().iter().any(|definition| {
            let stored = schedules.iter().find(|s| s.name == definition.program);
            stored.is_none_or(|stored| {
                let edited = stored.edited_at.is_some() || stored.source == ScheduleSource::Runtime;
                !edited && !stored.is_as(definition)
            })
        })
    }

    /// Fills the slots of a schedule that are due; the next one.
    async fn fill(&self, schedule: &StoredSchedule) -> Result<Option<Timestamp>> {
        let timetable = schedule.timetable()?;
        let due = schedule::due(
            &timetable,
            schedule.catch_up,
            schedule.after(),
            schedule.now,
        );
        let mut schedule = schedule.clone();
        if due.capped {
            tracing::warn!(
                schedule = schedule.name,
                "more than {MOST} slots were missed: those before the newest {MOST} are left out"
            );
        }
        for slots in due.slots.chunks(AT_ONCE) {
            let mut programs = Vec::with_capacity(slots.len());
            for slot in slots {
                programs.push(new_program(self.make(&schedule, *slot).await?));
            }
            let last_slot = slots[slots.len() - 1];
            let filling = Filling {
                schedule: schedule.clone(),
                last_slot,
                programs,
            };
            if !self.store.fill_slots(filling).await? {
                // Another worker was faster, or somebody has changed it: that is seen at the next look.
                return Ok(Some(schedule.now));
            }
            tracing::debug!(schedule = schedule.name, slot = %last_slot, "filled");
            schedule.last_slot = Some(last_slot);
        }
        Ok(timetable.next(schedule.after().max(schedule.now)))
    }

    /// Makes the program of a slot in a task of its own: the function is the user's, and may panic or take
    /// for ever.
    async fn make(&self, schedule: &StoredSchedule, slot: Timestamp) -> Result<Checked> {
        let programs = Arc::clone(&self.scheduled.programs);
        let making = schedule.clone();
        let making =
            tokio::spawn(async move { schedule::make(&programs, &making, Some(slot)).await });
        let abort = making.abort_handle();
        let ended = tokio::select! {
            made = making => match made {
                Ok(made) => return made,
                Err(panic) => format!("has panicked: {panic}"),
            },
            () = tokio::time::sleep(PATIENCE) => format!("has not returned within {PATIENCE:?}"),
            () = self.stopping.cancelled() => "was given up: the worker stops".to_owned(),
        };
        abort.abort();
        Err(Error::new(
            ErrorKind::Other,
            format!("the program's function {ended}"),
        ))
    }

    async fn note(&self, schedule: StoredSchedule, error: &Error) -> Result<()> {
        let message = error.to_string();
        if schedule.error_message.as_ref() == Some(&message) {
            return Ok(());
        }
        tracing::error!(
            schedule = schedule.name,
            error_message = message,
            "a schedule's program can't be started; trying again"
        );
        self.store.note_schedule_error(schedule, message).await
    }
}
