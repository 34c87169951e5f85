//! How a worker hears that something may be due.

use std::{pin::Pin, sync::Arc, time::Duration};

use diesel::{QueryableByName, RunQueryDsl, sql_types::BigInt};
use tokio::{sync::watch, time::Instant};

use super::SqliteStore;
use crate::store::Listener;

/// How often other processes' changes are looked for.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// Hears of this process's changes by a signal, and of others' by the file's version.
pub(super) struct Ear<'a> {
    store: &'a SqliteStore,
    changes: watch::Receiver<u64>,
    version: i64,
}

impl<'a> Ear<'a> {
    pub(super) fn at(store: &'a SqliteStore) -> Self {
        let changes = store.changes.subscribe();
        Self {
            store,
            changes,
            version: 0,
        }
    }
}

impl Listener for Ear<'_> {
    fn mark(&mut self) {
        self.changes.mark_unchanged();
    }

    fn changed(&mut self, at_most: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let deadline = Instant::now() + at_most;
            loop {
                let next = deadline.min(Instant::now() + WATCH_EVERY);
                tokio::select! {
                    _ = self.changes.changed() => return,
                    () = tokio::time::sleep_until(next) => {}
                }
                if Instant::now() >= deadline || self.changed_elsewhere().await {
                    return;
                }
            }
        })
    }
}

impl Ear<'_> {
    /// Whether another connection has changed the file since the last look.
    async fn changed_elsewhere(&mut self) -> bool {
        // A transaction that is open changes nothing before it ends.
        let Ok(mut writer) = Arc::clone(&self.store.writer).try_lock_owned() else {
            return false;
        };
        if writer.is_none() {
            return true;
        }
        let version = super::verbs::to_its_end(async move {
            let Some(writer) = writer.as_mut() else {
                return Ok(None);
            };
            let version = writer.spawn_blocking(|conn| {
                #[derive(QueryableByName)]
                struct Version {
                    #[diesel(sql_type = BigInt)]
                    data_version: i64,
                }
                diesel::sql_query("PRAGMA data_version").get_result::<Version>(conn)
            });
            Ok(Some(version.await?.data_version))
        });
        let version = version.await;
        // A file that cannot be read now is looked at again, and the claim will say what is wrong.
        let Ok(Some(version)) = version else {
            return false;
        };
        std::mem::replace(&mut self.version, version) != version
    }
}
