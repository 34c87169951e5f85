//! Database servers of a test's own, which it may crash, restart, freeze and configure, while the
//! servers that all tests share go on undisturbed.
//!
//! Everything of a server is in a temporary folder, which goes with it. It is killed when it is
//! dropped, and also when the test's process dies without dropping anything.

mod certificates;
mod home;
mod maria_db;
mod own;
mod pg_bouncer;
mod ports;
mod postgres;
mod rabbit_mq;
mod running;

use std::path::PathBuf;

pub(crate) use self::ports::free_port;
pub use self::{
    maria_db::MariaDb,
    own::{Engine, Keeper, Own},
    pg_bouncer::{PgBouncer, Pooling},
    postgres::Postgres,
    rabbit_mq::RabbitMq,
};

/// A PostgreSQL server of a test's own. Anyone on this machine may log in as `postgres`.
pub type OwnPostgres = Own<Postgres>;

/// A MariaDB server of a test's own. Anyone on this machine may log in as `root`.
pub type OwnMariaDb = Own<MariaDb>;

/// A RabbitMQ node of a test's own. `guest` may do everything.
pub type OwnRabbitMq = Own<RabbitMq>;

/// How a server is set up.
///
/// By default it is as durable as it comes, and speaks without TLS.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    options: Vec<(String, String)>,
    without_fsync: bool,
    tls: Option<Tls>,
}

#[derive(Clone, Debug)]
struct Tls {
    host: String,
    validity: Validity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validity {
    Now,
    Past,
}

impl Settings {
    /// A server that demands TLS, with a certificate for `localhost` and `127.0.0.1` from a
    /// certificate authority of its own.
    #[must_use]
    pub fn tls() -> Self {
        Self::with_tls("localhost", Validity::Now)
    }

    /// A server that demands TLS, with a certificate for another host alone.
    #[must_use]
    pub fn tls_of(host: &str) -> Self {
        Self::with_tls(host, Validity::Now)
    }

    /// A server that demands TLS, with a certificate that was valid once.
    #[must_use]
    pub fn tls_expired() -> Self {
        Self::with_tls("localhost", Validity::Past)
    }

    /// An option of the server, by its name in the server's configuration file: `max_connections`.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.options.push((name.into(), value.to_string()));
        self
    }

    /// A commit no longer waits for the disk: for tests that need a server, and not its promises.
    #[must_use]
    pub fn without_fsync(mut self) -> Self {
        self.without_fsync = true;
        self
    }

    fn with_tls(host: &str, validity: Validity) -> Self {
        let host = host.into();
        Self {
            tls: Some(Tls { host, validity }),
            ..Self::default()
        }
    }
}

/// The first folder that has all of `programs`.
fn folder_with(programs: &[&str], folders: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.into_iter().find(|folder| {
        programs
            .iter()
            .all(|program| folder.join(program).is_file())
    })
}

/// Where programs are looked for; Debian keeps servers out of an ordinary user's `PATH`.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .collect()
}
