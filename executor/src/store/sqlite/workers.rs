//! Workers: who they are, whether they live, and which leases they hold.
//!
//! A worker holds an OS lock on a file of its own beside the database. The system frees it when the
//! process dies, however it dies: whoever gets the lock knows that the leases are over.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::sql_types::{BigInt, Text};

use super::SqliteSession;
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        Held, Pulse, WorkerId, WorkerInfo, WorkerRecord,
        sql::{self, Outcome, millis, statement::sql},
    },
};

/// The lock files beside one database, and those of them that this process holds.
#[derive(Clone)]
pub(super) struct Locks {
    base: PathBuf,
    held: Arc<Mutex<HashMap<WorkerId, File>>>,
    looked: Arc<Mutex<Option<Instant>>>,
    /// Dead workers whose files can go when the transaction that found them is over: until then a
    /// reader still sees the worker's row, and asks for the file.
    dead: Arc<Mutex<Vec<String>>>,
}

impl Locks {
    pub(super) fn beside(database: &Path) -> Self {
        Self {
            base: database.to_owned(),
            held: Arc::default(),
            looked: Arc::default(),
            dead: Arc::default(),
        }
    }

    fn path(&self, worker: &str) -> PathBuf {
        let mut path = self.base.clone().into_os_string();
        path.push(format!("-worker-{worker}"));
        path.into()
    }

    pub(super) fn take(&self, worker: WorkerId) -> Result<()> {
        let path = self.path(&worker.to_string());
        let lock = || {
            let file = File::create(&path)?;
            file.lock()?;
            io::Result::Ok(file)
        };
        let file = lock().map_err(|e| {
            let message = format!("the worker's lock file {} can't be made", path.display());
            Error::with_source(ErrorKind::Store, message, e)
        })?;
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(worker, file);
        Ok(())
    }

    pub(super) fn give_back(&self, worker: WorkerId) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&worker);
        self.forget(&worker.to_string());
    }

    /// Whether it is time to look for the dead again: busy claims need not do it each time.
    fn look_is_due(&self) -> bool {
        const EVERY: Duration = Duration::from_millis(200);
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.is_none_or(|at| at.elapsed() >= EVERY);
        if due {
            *looked = Some(Instant::now());
        }
        due
    }

    /// Whether the process of this worker is gone; where locks do not work, or somebody has taken
    /// the file away, nobody is, and the lease's time decides.
    fn is_dead(&self, worker: &str) -> bool {
        let Ok(file) = File::open(self.path(worker)) else {
            return false;
        };
        matches!(file.try_lock(), Ok(()))
    }

    /// Takes away the files of the dead, after the transaction that found them.
    pub(super) fn sweep(&self) {
        let dead = std::mem::take(&mut *self.dead.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in dead {
            self.forget(&worker);
        }
    }

    fn forget(&self, worker: &str) {
        // Nobody minds a file that stays behind.
        let _ = fs::remove_file(self.path(worker));
    }
}

pub(super) async fn register(
    s: &mut SqliteSession<'_>,
    worker: &WorkerRecord,
    locks: &Locks,
) -> Outcome<()> {
    end_leases_of_the_dead(s, worker.id, locks)?;
    sql::workers::register(s, worker).await
}

pub(super) async fn live(s: &mut SqliteSession<'_>, locks: &Locks) -> Outcome<Vec<WorkerInfo>> {
    let mut live = sql::workers::live(s).await?;
    live.retain(|worker| !locks.is_dead(&worker.id));
    Ok(live)
}

/// Ends the leases of processes that are gone, so that a claim finds them due. Not at each claim:
/// see [`Locks::look_is_due`].
pub(super) fn look_for_the_dead(
    s: &mut SqliteSession<'_>,
    this: WorkerId,
    locks: &Locks,
) -> Outcome<()> {
    if locks.look_is_due() {
        end_leases_of_the_dead(s, this, locks)
    } else {
        Ok(())
    }
}

/// The statements of a look for the dead, whose plans are tested.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[OTHERS, END];

const OTHERS: &str = r#"SELECT id FROM {table workers} WHERE id <> ?"#;

// Also those that end too far ahead; what is delayed is not looked at.
const END: &str = r#"
    UPDATE {t} INDEXED BY {name due} SET lease_until = ?
    WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL
      AND CASE WHEN lease_until IS NOT NULL OR available_at = busy_until THEN 1 ELSE 0 END = 1
      AND {due} > ? AND lease_until IS NOT NULL AND worker = ?"#;

fn end_leases_of_the_dead(s: &mut SqliteSession<'_>, this: WorkerId, locks: &Locks) -> Outcome<()> {
    const FORGET: &str = "DELETE FROM {table workers} WHERE id = ?";
    const FREE: &str = "DELETE FROM {table holds} WHERE worker = ?";
    let now = s.now;
    let others = s.rows::<Text, String>(sql(OTHERS).text(this.to_string()))?;
    for worker in others {
        if locks.is_dead(&worker) {
            tracing::info!(worker, "a worker has died: its programs go to others");
            s.execute(sql(END).int(now).int(now).text(&worker))?;
            s.execute(sql(FREE).text(&worker))?;
            s.execute(sql(FORGET).text(&worker))?;
            locks
                .dead
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(worker);
        }
    }
    Ok(())
}

pub(super) async fn heartbeat(
    s: &mut SqliteSession<'_>,
    worker: WorkerId,
    lease: Duration,
    held: &[Held],
) -> Outcome<Vec<Pulse>> {
    // A renewal under an unchanged token is valid even after the end. The worker's name is there
    // as long as the claim is: a late heartbeat does not renew what was released meanwhile.
    const RENEW: &str = "
        UPDATE {t} SET lease_until = ?, ready = 0
        WHERE id = ? AND token = ? AND worker = ? AND finished_at IS NULL
        RETURNING errored_at IS NOT NULL";
    sql::workers::seen(s, worker).await?;
    let until = s.now.saturating_add(millis(lease));
    let worker = worker.to_string();
    held.iter()
        .map(|held| {
            let renew = sql(RENEW)
                .int(until)
                .int(held.id)
                .int(held.token)
                .text(&worker);
            Ok(match s.rows::<BigInt, i64>(renew)?.first() {
                None => Pulse::Lost,
                Some(0) => Pulse::Alive,
                Some(_) => Pulse::Stopped,
            })
        })
        .collect()
}
