//! The name of one program's run.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a program is known by, from its creation on.
///
/// Ours are UUIDs: of version 7, so that they sort by time, of version 5 for programs that a job has
/// started, and of version 8 for those whose end it waits for. Rows that program-executor made
/// carry strings of digits. Any text is taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Box<str>);

impl RunId {
    pub(crate) fn random() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// The id of the child that this run's step starts as its `ordinal`-th: always the same, so
    /// that a step which runs again starts no child twice.
    pub(crate) fn child(&self, step: u32, ordinal: u32) -> Self {
        let name = format!("{}/{step}/{ordinal}", self.0);
        Self(
            Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
                .to_string()
                .into(),
        )
    }

    /// The id of a child whose end its parent waits for.
    pub(crate) fn awaited_child(&self, step: u32, ordinal: u32) -> Self {
        let name = format!("{}/{step}/{ordinal}", self.0);
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let id = uuid::Builder::from_custom_bytes(hash.into_bytes()).into_uuid();
        Self(id.to_string().into())
    }

    /// Whether it looks like such a child. This lets those tell at once who see it end, and costs the
    /// others nothing; who waits for what is in the store.
    pub(crate) fn is_awaited(&self) -> bool {
        let text = self.0.as_bytes();
        text.len() == 36 && text[14] == b'8'
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for RunId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for RunId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl FromStr for RunId {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_the_same_id_each_time() {
        let parent = RunId::from("7");
        assert_eq!(parent.child(1, 0), parent.child(1, 0));
        assert_ne!(parent.child(1, 0), parent.child(1, 1));
        assert_ne!(parent.child(1, 0), parent.child(2, 0));
    }

    #[test]
    fn an_awaited_child_shows_it() {
        let parent = RunId::random();
        let awaited = parent.awaited_child(1, 0);
        assert!(awaited.is_awaited(), "{awaited}");
        assert_eq!(awaited, parent.awaited_child(1, 0));
        assert_ne!(awaited, parent.awaited_child(1, 1));
        for other in [
            parent.child(1, 0),
            parent,
            RunId::from("8"),
            RunId::from(""),
        ] {
            assert!(!other.is_awaited(), "{other}");
        }
    }
}
