//! Connections to the server.
//!
//! `ssl-mode` means what it means to MySQL's own clients: `preferred` (the default) encrypts where
//! the server can, `required` insists, and `verify_ca` and `verify_identity` check the certificate,
//! against the file of `ssl-ca` or else the system's own certificates.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use diesel_async::AsyncMysqlConnection;
use mysql_async::{Conn, DriverError, Opts, OptsBuilder, SslOpts, prelude::Queryable};
use rustls::{CertificateError, RootCertStore, crypto::CryptoProvider};

use crate::{
    certificates,
    config::Config,
    error::{Error, ErrorKind, Result},
    store::server::Purpose,
    url,
};

/// Where the server is, and how it is spoken to.
pub(super) struct Server {
    shown: String,
    database: String,
    opts: OptsBuilder,
    tls: Tls,
    /// Whether the server has been found to have no TLS, and none was insisted on.
    plain: AtomicBool,
    /// The name in the server's certificate, where it does not matter which.
    name: OnceLock<String>,
    /// How long the engine waits for an answer.
    patience: Duration,
    lease: Duration,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Server {
    pub(super) fn new(config: &Config, patience: Duration) -> Result<Self> {
        let secret = config.database_url.secret();
        let secret = match secret.strip_prefix("mariadb:") {
            Some(rest) => format!("mysql:{rest}"),
            None => secret.to_owned(),
        };
        let (url, [mode, root]) = url::without(
            &secret,
            [
                &["ssl-mode", "ssl_mode", "sslmode"],
                &["ssl-ca", "ssl_ca", "sslrootcert"],
            ],
        );
        // Its own text never shows the password: it names the option.
        let opts = Opts::from_url(&url).map_err(|e| wrong(format!("can't be read: {e}")))?;
        let database = opts.db_name().unwrap_or_default().to_owned();
        if database.is_empty() {
            return Err(wrong(
                "names no database; write mysql://user:password@host/database".to_owned(),
            ));
        }
        // The system counts it in whole seconds, and takes no zero.
        let keepalive = patience.max(Duration::from_secs(1)).as_millis();
        let keepalive = u32::try_from(keepalive).unwrap_or(u32::MAX);
        let opts = OptsBuilder::from_opts(opts)
            // Diesel has its own cache, and counts the rows that a statement has found.
            .stmt_cache_size(0)
            .client_found_rows(true)
            // What the URL says is where it goes.
            .prefer_socket(false)
            .tcp_keepalive(Some(keepalive));
        Ok(Self {
            shown: config.database_url.to_string(),
            database,
            opts,
            tls: Tls::new(mode.as_deref(), root.as_deref()).map_err(wrong)?,
            plain: AtomicBool::new(false),
            name: OnceLock::new(),
            patience,
            lease: config.worker.lease,
        })
    }

    /// The database that the URL names.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    pub(super) async fn connect(&self, purpose: Purpose) -> Result<AsyncMysqlConnection> {
        let message = || format!("the database {} can't be reached", self.shown);
        let connecting = async {
            let mut conn = self.open().await.map_err(|error| {
                // A server that answers no will do so again; one that is not there may come back.
                let away = !matches!(error, mysql_async::Error::Server(_));
                // The driver says so twice.
                let error = error.to_string();
                let error = error.trim_start_matches("Input/output error: ");
                Error::new(ErrorKind::Store, format!("{}: {error}", message())).away_if(away)
            })?;
            self.prepare(&mut conn, purpose).await?;
            let ready = AsyncMysqlConnection::try_from(conn).await;
            ready.map_err(|error| Error::with_source(ErrorKind::Store, message(), error))
        };
        match tokio::time::timeout(self.patience, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(Error::new(
                ErrorKind::Store,
                format!("{}: no answer within {:?}", message(), self.patience),
            )
            .away_if(true)),
        }
    }

    /// A connection as the URL wants it, encrypted or not.
    async fn open(&self) -> mysql_async::Result<Conn> {
        let Some(tls) = &self.tls.opts else {
            return Conn::new(self.opts.clone()).await;
        };
        if self.plain.load(Ordering::Relaxed) {
            return Conn::new(self.opts.clone()).await;
        }
        install_provider();
        let named = |name: &String| {
            tls.clone()
                .with_danger_tls_hostname_override(Some(name.clone()))
        };
        let tls = self.name.get().map_or_else(|| tls.clone(), named);
        let error = match Conn::new(self.opts.clone().ssl_opts(tls.clone())).await {
            Ok(conn) => return Ok(conn),
            Err(error) => error,
        };
        let no_tls = matches!(
            error,
            mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)
        );
        if no_tls && !self.tls.required {
            self.plain.store(true, Ordering::Relaxed);
            return Conn::new(self.opts.clone()).await;
        }
        // The authority was checked before the name. The driver can't leave the name out: it is
        // given the one that the certificate has.
        match other_name(&error).filter(|_| self.tls.any_name) {
            Some(name) => {
                let name = self.name.get_or_init(|| name).clone();
                let tls = tls.with_danger_tls_hostname_override(Some(name));
                Conn::new(self.opts.clone().ssl_opts(tls)).await
            }
            None => Err(error),
        }
    }

    /// Settings that the engine's statements count on, whatever the server's are.
    async fn prepare(&self, conn: &mut Conn, purpose: Purpose) -> Result<()> {
        let failed = |error: mysql_async::Error| {
            let message = format!("the database {} can't be used", self.shown);
            Error::with_source(ErrorKind::Store, message, error)
        };
        let version: Option<String> = conn.query_first("SELECT VERSION()").await.map_err(failed)?;
        let version = Version::of(&version.unwrap_or_default());
        version.check(&self.shown)?;
        let wait = self.patience.as_secs().max(1);
        let mut settings = format!(
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
             SET SESSION autocommit = 1, SESSION lc_messages = 'en_US',
               SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
               SESSION innodb_lock_wait_timeout = {wait}"
        );
        if purpose == Purpose::Engine {
            // A process that freezes within a transaction must not keep its locks.
            settings.push_str(&match version.maria_db {
                true => format!(", SESSION idle_transaction_timeout = {wait}"),
                false => format!(", SESSION wait_timeout = {}", self.lease.as_secs().max(3)),
            });
        }
        conn.query_drop(settings).await.map_err(failed)
    }
}

fn wrong(problem: String) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("the database URL {problem}"),
    )
}

/// Which server it is.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    maria_db: bool,
    number: Vec<u32>,
    text: String,
}

impl Version {
    fn of(text: &str) -> Self {
        let number = text.split(|c: char| !c.is_ascii_digit());
        Self {
            maria_db: text.contains("MariaDB"),
            number: number.map_while(|part| part.parse().ok()).take(3).collect(),
            text: text.to_owned(),
        }
    }

    /// Older ones lack `SKIP LOCKED` or `JSON_TABLE`.
    fn check(&self, shown: &str) -> Result<()> {
        let (name, oldest) = match self.maria_db {
            true => ("MariaDB 10.6", vec![10, 6]),
            false => ("MySQL 8.0.16", vec![8, 0, 16]),
        };
        if self.number >= oldest {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Configuration,
            format!(
                "the database {shown} is of version {}; {name} or newer is needed",
                self.text
            ),
        ))
    }
}

/// How the connection is encrypted.
struct Tls {
    /// `None`: not at all.
    opts: Option<SslOpts>,
    required: bool,
    /// Whether the certificate's name does not matter.
    any_name: bool,
}

impl Tls {
    fn new(mode: Option<&str>, root: Option<&str>) -> std::result::Result<Self, String> {
        let given = mode.unwrap_or("preferred");
        let mode = given.to_ascii_lowercase().replace('-', "_");
        let unchecked = || SslOpts::default().with_danger_accept_invalid_certs(true);
        let (opts, required, any_name) = match mode.as_str() {
            "disabled" | "disable" => (None, false, false),
            "preferred" | "prefer" => (Some(unchecked()), false, false),
            "required" | "require" => (Some(unchecked()), true, false),
            "verify_ca" => (Some(checked(root)?), true, true),
            "verify_identity" | "verify_full" => (Some(checked(root)?), true, false),
            _ => {
                return Err(format!(
                    "has ssl-mode={given}; it takes disabled, preferred, required, verify_ca or \
                     verify_identity"
                ));
            }
        };
        Ok(Self {
            opts,
            required,
            any_name,
        })
    }
}

fn checked(root: Option<&str>) -> std::result::Result<SslOpts, String> {
    // The driver gives up at one that it can't read.
    let readable = |certificate: &_| {
        let added =
            RootCertStore::empty().add(rustls::pki_types::CertificateDer::clone(certificate));
        added.is_ok()
    };
    let roots: Vec<_> = certificates::authorities("ssl-ca", root)?
        .into_iter()
        .filter(readable)
        .map(|certificate| certificate.to_vec().into())
        .collect();
    if roots.is_empty() {
        return Err(
            "wants the certificate checked, and there is no authority to check it \
                    against; name one by ssl-ca"
                .to_owned(),
        );
    }
    Ok(SslOpts::default()
        .with_disable_built_in_roots(true)
        .with_root_certs(roots))
}

/// The driver takes the process's provider, and would panic where two are compiled in and none is
/// chosen.
fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may just have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// A name of a certificate whose authority is known, and whose name is another one than asked for.
fn other_name(error: &mysql_async::Error) -> Option<String> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>();
        let inner = inner.and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        })) = error.downcast_ref::<rustls::Error>().or(inner)
        {
            // `DnsName("db.example")` or `IpAddress(127.0.0.1)`.
            let name = presented.first()?.split_once('(')?.1;
            let name = name.trim_end_matches(')').trim_matches('"');
            return Some(name.replacen('*', "any", 1));
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        let checked = |text| Version::of(text).check("mysql://db/app").is_ok();
        assert!(checked("10.11.19-MariaDB-0+deb12u1"));
        assert!(!checked("10.5.29-MariaDB"));
        assert!(checked("8.4.3") && checked("8.0.16-log") && checked("9.1.0"));
        assert!(!checked("5.7.44") && !checked("8.0.11"));
    }

    #[test]
    fn modes_are_those_of_mysql_clients() {
        let mode = |mode| Tls::new(Some(mode), None).map(|tls| (tls.opts.is_some(), tls.required));
        assert_eq!(mode("DISABLED"), Ok((false, false)));
        assert_eq!(mode("preferred"), Ok((true, false)));
        assert_eq!(mode("required"), Ok((true, true)));
        let refused = mode("perhaps").expect_err("no such mode");
        assert!(refused.contains("verify_identity"), "{refused}");
        let missing = Tls::new(Some("verify_ca"), Some("/nowhere")).err();
        assert!(missing.is_some_and(|problem| problem.contains("/nowhere")));
    }
}
