//! The times that program-executor knows.

/// A time that program-executor knows: text in UTC, or the milliseconds that JavaScript writes.
macro_rules! time {
    ($column:literal) => {
        concat!(
            "CASE typeof(",
            $column,
            ") WHEN 'integer' THEN ",
            $column,
            " WHEN 'real' THEN CAST(",
            $column,
            " AS INTEGER)",
            " ELSE CAST(unixepoch(",
            $column,
            ", 'subsec') * 1000 AS INTEGER) END"
        )
    };
}
