//! Migrations: SQL files in diesel's folder layout, with the tables' names filled in.
//!
//! Diesel's own harness blocks in place, and shares one bookkeeping table with the application;
//! ours is `<table>_migrations`. Each row says whether older binaries may go on using the tables:
//! a binary that meets an unknown migration which they may not use refuses to start.

use crate::error::{Error, ErrorKind, Result};

/// A step from one version of the tables to the next.
#[derive(Debug)]
pub(super) struct Migration {
    /// Its folder's name.
    pub(super) name: &'static str,
    pub(super) up: &'static str,
    /// Whether binaries that do not know it can work on the tables it makes.
    pub(super) compatible: bool,
}

/// What stands in the bookkeeping table.
pub(super) struct Applied {
    pub(super) name: String,
    pub(super) compatible: bool,
}

/// The migrations that are missing.
///
/// # Errors
/// The tables are newer than this binary, and not for it.
pub(super) fn pending<'a>(
    known: &'a [Migration],
    applied: &[Applied],
) -> Result<Vec<&'a Migration>> {
    for row in applied {
        if !row.compatible && !known.iter().any(|migration| migration.name == row.name) {
            return Err(Error::new(
                ErrorKind::NewerSchema,
                format!(
                    "the tables were upgraded by a newer version of executor (migration {:?}), \
                     which this one (version {}) must not write to; deploy the newer version",
                    row.name,
                    env!("CARGO_PKG_VERSION"),
                ),
            ));
        }
    }
    Ok(known
        .iter()
        .filter(|m| !applied.iter().any(|row| row.name == m.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Migration; 2] = [
        Migration {
            name: "1",
            up: "",
            compatible: false,
        },
        Migration {
            name: "2",
            up: "",
            compatible: false,
        },
    ];

    fn applied(name: &str, compatible: bool) -> Applied {
        Applied {
            name: name.to_owned(),
            compatible,
        }
    }

    #[test]
    fn what_is_missing_is_pending() {
        let pending = pending(&KNOWN, &[applied("1", false)]).expect("nothing newer");
        assert_eq!(pending.iter().map(|m| m.name).collect::<Vec<_>>(), ["2"]);
    }

    #[test]
    fn a_newer_version_is_refused_where_it_would_do_harm() {
        let all = [applied("1", false), applied("2", false)];
        let newer = |compatible| {
            let mut rows = all
                .iter()
                .map(|r| applied(&r.name, r.compatible))
                .collect::<Vec<_>>();
            rows.push(applied("3", compatible));
            pending(&KNOWN, &rows).map(|p| p.len())
        };
        assert_eq!(newer(true).expect("compatible"), 0);
        assert_eq!(
            newer(false).expect_err("not for us").kind(),
            ErrorKind::NewerSchema
        );
    }
}
