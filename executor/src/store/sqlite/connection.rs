//! Connections to the file, and its errors in words.

use std::path::Path;

use diesel::{
    Connection, SqliteConnection, connection::SimpleConnection, result::Error as DieselError,
};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;

use super::Wrapped;
use crate::error::{Error, ErrorKind, Result};

pub(super) async fn connect(path: &Path) -> Result<Wrapped> {
    let file = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let mut conn = SqliteConnection::establish(&file.to_string_lossy())
            .map_err(|e| DieselError::QueryBuilderError(Box::new(e)))?;
        conn.batch_execute(
            "PRAGMA busy_timeout = 10000;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
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
