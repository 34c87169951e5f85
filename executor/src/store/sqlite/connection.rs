//! Connections to the file, and its errors in words.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use diesel::{
    Connection, QueryResult, SqliteConnection, connection::SimpleConnection,
    result::Error as DieselError,
};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;

use super::Wrapped;
use crate::error::{Error, ErrorKind, Result};

/// How long others may hold the file.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn connect(path: &Path) -> Result<Wrapped> {
    let file = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let mut conn = SqliteConnection::establish(&file.to_string_lossy())
            .map_err(|e| DieselError::QueryBuilderError(Box::new(e)))?;
        conn.batch_execute("PRAGMA busy_timeout = 10000")?;
        set_wal(&mut conn)?;
        conn.batch_execute(
            "PRAGMA synchronous = FULL;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -16000;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA wal_autocheckpoint = 4000;",
        )?;
        Ok(conn)
    });
    match opened.await {
        Ok(Ok(conn)) => Ok(SyncConnectionWrapper::new(conn)),
        Ok(Err(error)) => Err(explain(path, error)),
        Err(error) => Err(Error::with_source(
            ErrorKind::Store,
            "the store could not be opened",
            error,
        )),
    }
}

/// Processes that do this to a new file at the same moment do not wait for one another, whatever the timeout is:
/// SQLite refuses one of them at once.
fn set_wal(conn: &mut SqliteConnection) -> QueryResult<()> {
    let began = Instant::now();
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL") {
            Err(DieselError::DatabaseError(_, info))
                if info.message().contains("locked") && began.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// A database error in the user's words, with what to do.
pub(super) fn explain(path: &Path, error: DieselError) -> Error {
    let message = match &error {
        DieselError::DatabaseError(_, info) => info.message().to_owned(),
        DieselError::QueryBuilderError(inner) => inner.to_string(),
        other => other.to_string(),
    };
    let advice = if message.contains("readonly database") {
        "; make the file and its folder writable"
    } else if message.contains("disk is full") {
        "; free some space: nothing is lost, and it goes on by itself"
    } else if message.contains("unable to open") {
        "; check that its folder exists and can be written to"
    } else if message.contains("not a database") {
        "; is it a file of another kind? choose another with DATABASE_URL"
    } else if message.contains("locked") {
        "; another process has held it for too long"
    } else {
        ""
    };
    // What may go better later is the store's; everything else is for that data alone.
    let later = [
        "locked",
        "busy",
        "full",
        "I/O",
        "readonly",
        "unable to open",
        "not a database",
        "malformed database",
        "disk image",
        "interrupted",
        "out of memory",
    ];
    let kind = match &error {
        DieselError::DatabaseError(..) if !later.iter().any(|word| message.contains(word)) => {
            ErrorKind::InvalidData
        }
        _ => ErrorKind::Store,
    };
    Error::new(
        kind,
        format!("the database {}: {message}{advice}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn all_who_make_a_new_file_at_once_get_it() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..40 {
            let file = folder.path().join(format!("{number}.db"));
            let opening = (0..8).map(|_| {
                let file = file.clone();
                tokio::spawn(async move { connect(&file).await.map(drop) })
            });
            for opened in opening.collect::<Vec<_>>() {
                opened.await.expect("no panic").expect("opened");
            }
        }
    }
}
