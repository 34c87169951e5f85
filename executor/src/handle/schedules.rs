//! What an application does with schedules.

use super::{Executor, create::new_program};
use crate::{
    error::{Error, ErrorKind, Result},
    program::Programs,
    run_id::RunId,
    schedule::{self, Definitions, Schedule, ScheduleInfo, ScheduleSource, StoredSchedule},
    store::SetSchedule,
};

/// How many of the next slots [`ScheduleInfo::next`] has.
const SHOWN: usize = 5;

/// The schedules of a store: [`Executor::schedules`].
///
/// Workers look at them at least each five seconds, and at once where the change was made in their process;
/// one that was paused or changed fills no slot by what it was before.
///
/// ```no_run
/// use executor::{Schedule, prelude::*};
///
/// # #[job] async fn greet(name: String) -> Result<(), JobError> { Ok(()) }
/// #[program(name = "welcome")]
/// fn welcome(name: Option<String>) -> impl IntoProgram {
///     Greet { name: name.unwrap_or_default() }
/// }
///
/// # async fn test(executor: Executor) -> executor::Result<()> {
/// let mornings = Schedule::new("welcome", "0 8 * * *").argument("name", "Ada");
/// executor.schedules().set(mornings.timezone("Europe/Budapest")).await?;
/// for schedule in executor.schedules().list().await? {
///     println!("{} next at {:?}", schedule.name, schedule.next.first());
/// }
/// executor.schedules().pause("welcome").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Schedules(Executor);

impl Executor {
    /// The schedules of this store.
    pub fn schedules(&self) -> Schedules {
        Schedules(self.clone())
    }
}

impl Schedules {
    /// Makes a schedule, or changes the one of this name. Its slots come after now. A schedule that comes
    /// from the code stays as it is set here until it is [deleted](Schedules::delete).
    ///
    /// The program is made once to see that its arguments fit; nothing is stored of it.
    ///
    /// # Errors
    /// The cron line or the time zone is wrong, this binary does not have the program, its arguments do not
    /// fit, or the store cannot be written to.
    pub async fn set(&self, schedule: Schedule) -> Result<()> {
        let timetable = schedule.timetable()?;
        let arguments = schedule.arguments_text()?;
        let Schedule {
            name,
            program,
            cron,
            timezone,
            catch_up,
            ..
        } = schedule;
        let epoch = crate::time::Timestamp::from_millis(0);
        let trial = StoredSchedule {
            name: name.clone(),
            program: program.clone(),
            arguments: arguments.clone(),
            cron: cron.clone(),
            timezone: timezone.clone(),
            catch_up,
            source: ScheduleSource::Runtime,
            edited_at: None,
            paused_at: None,
            changed_at: epoch,
            last_slot: None,
            last_run_id: None,
            error_message: None,
            now: epoch,
        };
        // A slot as it may come: one that asks for it gets it.
        schedule::make(&Programs::collect()?, &trial, timetable.next(epoch)).await?;
        let schedule = SetSchedule {
            name,
            program,
            arguments,
            cron,
            timezone,
            catch_up,
        };
        self.0.store().set_schedule(schedule).await?;
        self.has_changed();
        Ok(())
    }

    /// All schedules, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self) -> Result<Vec<ScheduleInfo>> {
        let stored = self.0.store().schedules().await?;
        let (definitions, programs) = (Definitions::collect()?, Programs::collect()?);
        let info = |schedule: StoredSchedule| {
            let remark = remark(&schedule, &definitions, &programs);
            schedule.info(SHOWN, remark)
        };
        Ok(stored.into_iter().map(info).collect())
    }

    /// The schedule of this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<ScheduleInfo>> {
        let all = self.list().await?;
        Ok(all.into_iter().find(|schedule| schedule.name == name))
    }

    /// Keeps a schedule from filling slots, over restarts and deploys. `false`: it was paused already.
    ///
    /// # Errors
    /// There is no such schedule, or the store cannot be written to.
    pub async fn pause(&self, name: &str) -> Result<bool> {
        self.set_paused(name, true).await
    }

    /// Lets a schedule fill slots again, from now on: what passed while it was paused was not missed.
    /// `false`: it was not paused.
    ///
    /// # Errors
    /// There is no such schedule, or the store cannot be written to.
    pub async fn resume(&self, name: &str) -> Result<bool> {
        self.set_paused(name, false).await
    }

    async fn set_paused(&self, name: &str, paused: bool) -> Result<bool> {
        let name = self.find(name).await?.name;
        let changed = self.0.store().set_schedule_paused(name, paused).await?;
        self.has_changed();
        Ok(changed)
    }

    /// Deletes a schedule; programs that it has started go on. `false`: there is none of this name.
    ///
    /// One that comes from the code is made anew, as the code says, by the next worker that has it.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub async fn delete(&self, name: &str) -> Result<bool> {
        let deleted = self.0.store().delete_schedule(name.to_owned()).await?;
        self.has_changed();
        Ok(deleted)
    }

    /// Starts a schedule's program now, paused or not; its slots stay as they are, and the program gets
    /// none.
    ///
    /// # Errors
    /// There is no such schedule, this binary does not have its program, or the store cannot be written
    /// to.
    pub async fn run_now(&self, name: &str) -> Result<RunId> {
        let schedule = self.find(name).await?;
        let program = schedule::make(&Programs::collect()?, &schedule, None).await?;
        let created = self.0.store().create(vec![new_program(program)]).await?;
        let created = created.into_iter().next();
        let not_stored = || Err(Error::new(ErrorKind::Store, "not stored"));
        Ok(created.unwrap_or_else(not_stored)?.run_id)
    }

    async fn find(&self, name: &str) -> Result<StoredSchedule> {
        let mut all = self.0.store().schedules().await?;
        match all.iter().position(|schedule| schedule.name == name) {
            Some(at) => Ok(all.swap_remove(at)),
            None => Err(schedule::unknown(name, &all)),
        }
    }

    /// Tells the workers of this process.
    fn has_changed(&self) {
        self.0.inner().schedules_changed.send_replace(());
    }
}

/// What people should know of a schedule, seen from this binary.
fn remark(
    schedule: &StoredSchedule,
    definitions: &Definitions,
    programs: &Programs,
) -> Option<String> {
    let definition = definitions.get(&schedule.name);
    if programs.require(&schedule.program).is_err() {
        return Some(format!(
            "this binary has no program {:?}: others that have it run it",
            schedule.program
        ));
    }
    if !schedule.is_run_by(definition) {
        return Some(
            "the code of this binary does not have it any more, and does not run it".into(),
        );
    }
    let definition = definition.filter(|definition| !schedule.is_as(definition))?;
    let (cron, timezone, catch_up) = (definition.cron, definition.timezone, definition.catch_up);
    let code = format!("the code says {cron:?} in {timezone}, catching up {catch_up}");
    Some(match (schedule.edited_at, schedule.source) {
        (None, ScheduleSource::Code) => {
            format!("{code}; that holds once no worker lives that says what is here")
        }
        _ => format!("{code}; `schedules delete` brings that back"),
    })
}
