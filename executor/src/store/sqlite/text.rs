//! Texts as they stand in the file.

use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    sql_types::Text,
    sqlite::Sqlite,
};

/// A text that may be none: SQLite lets anybody put any bytes there. One such row must not make a
/// whole claim or list unreadable, so that what is no UTF-8 is replaced.
#[derive(Debug, FromSqlRow)]
pub(super) struct Lossy(pub(super) String);

impl FromSql<Text, Sqlite> for Lossy {
    fn from_sql(mut value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(value.read_text().to_owned()))
    }
}
