//! Where the store and the broker are. Printing an address leaves its password out.

use std::{fmt, path::Path, str::FromStr};

use crate::error::{Error, ErrorKind, Result};

/// Where the store is. Printing it leaves the password out.
#[derive(Clone)]
pub(crate) struct DatabaseUrl(String);

/// The store that a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Sqlite,
    Postgres,
    MySql,
}

impl Scheme {
    /// The feature that compiles its store in.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }
}

impl Default for DatabaseUrl {
    fn default() -> Self {
        Self("sqlite:executor.db".to_owned())
    }
}

impl DatabaseUrl {
    /// The URL with its password.
    #[cfg(feature = "server")]
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    pub(crate) fn scheme(&self) -> Scheme {
        match self.0.split(':').next() {
            Some("postgres" | "postgresql") => Scheme::Postgres,
            Some("mysql" | "mariadb") => Scheme::MySql,
            // Parsing lets nothing else through.
            _ => Scheme::Sqlite,
        }
    }

    /// A file by its one true name: the same from whichever folder or link it is opened, also when
    /// the process changes its folder later.
    pub(crate) fn resolved(self) -> Self {
        if self.scheme() != Scheme::Sqlite {
            return self;
        }
        let path = Path::new(self.sqlite_path());
        let whole = path.canonicalize().or_else(|_| {
            // The file is not there yet; its folder may be.
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
            Ok::<_, std::io::Error>(
                path.file_name()
                    .map_or(folder.clone(), |name| folder.join(name)),
            )
        });
        // Where there is no such folder, opening the file will say so by the name as it was given.
        match whole
            .ok()
            .and_then(|path| path.into_os_string().into_string().ok())
        {
            Some(path) => Self(format!("sqlite:{path}")),
            None => self,
        }
    }

    /// The file of a `sqlite:` URL.
    pub(crate) fn sqlite_path(&self) -> &str {
        let path = self.0.strip_prefix("sqlite:").unwrap_or(&self.0);
        path.strip_prefix("//").unwrap_or(path)
    }
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = |problem: &str| {
            Err(Error::new(
                ErrorKind::Configuration,
                format!("the database URL {problem}; write sqlite:path/to/file.db"),
            ))
        };
        match text.split_once(':') {
            Some(("sqlite", rest)) => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                match path {
                    "" => fail("names no file"),
                    path if path.contains('?') => {
                        fail("has options after a ?, which the embedded store does not take")
                    }
                    ":memory:" => fail("names a database in memory, which would survive nothing"),
                    _ => Ok(Self(text.to_owned())),
                }
            }
            Some(("postgres" | "postgresql" | "mysql" | "mariadb", _)) => Ok(Self(text.to_owned())),
            Some((scheme, _)) if text.contains("://") => {
                fail(&format!("has the unknown scheme {scheme:?}"))
            }
            _ => fail("has no scheme"),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme() {
            Scheme::Sqlite => f.write_str(&self.0),
            _ => without_password(&self.0, f),
        }
    }
}

fn without_password(url: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some((scheme, rest)) = url.split_once("://") else {
        return f.write_str(url);
    };
    let authority = rest.find(['/', '?']).map_or(rest, |end| &rest[..end]);
    match authority.rfind('@') {
        Some(at) => {
            let user = authority[..at].split(':').next().unwrap_or_default();
            // What follows a `?` may hold a password too.
            let rest = rest[at..].split('?').next().unwrap_or_default();
            write!(f, "{scheme}://{user}{rest}")
        }
        None => f.write_str(url),
    }
}

/// Where RabbitMQ is. Printing it leaves the password out.
#[derive(Clone)]
pub(crate) struct AmqpUrl(String);

impl AmqpUrl {
    /// The URL with its password.
    #[cfg(feature = "rabbitmq")]
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for AmqpUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some(("amqp" | "amqps", _)) => Ok(Self(text.to_owned())),
            _ => Err(Error::new(
                ErrorKind::Configuration,
                "the URL of RabbitMQ must be amqp://user:password@host/vhost, or amqps:// with TLS",
            )),
        }
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        without_password(&self.0, f)
    }
}

impl fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
