//! Connections to the server.
//!
//! The URL is libpq's. `sslmode` means what it means there: `prefer` (the default) encrypts where
//! the server can, `require` insists, and `verify-ca` and `verify-full` check the certificate, against
//! the file of `sslrootcert` or else the system's own certificates.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use diesel_async::AsyncPgConnection;
use rustls::{
    ClientConfig, RootCertStore,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio_postgres::{NoTls, config::SslMode, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    certificates,
    config::Config,
    error::{Error, ErrorKind, Result},
    url,
};

/// Where the server is, and how it is spoken to.
pub(super) struct Server {
    shown: String,
    main: Address,
    listen: Option<Address>,
}

struct Address {
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Server {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let lease = config.worker.lease;
        let listen = config.listen_url.as_ref();
        Ok(Self {
            shown: config.database_url.to_string(),
            main: Address::new(config.database_url.secret(), lease)?,
            listen: listen
                .map(|url| Address::new(url.secret(), lease))
                .transpose()?,
        })
    }

    pub(super) async fn connect(&self) -> Result<AsyncPgConnection> {
        self.main.connect().await.map_err(|e| self.unreachable(e))
    }

    /// The connection on which messages are heard, past a pooler where one is in between.
    pub(super) async fn connect_to_listen(&self) -> Result<AsyncPgConnection> {
        let address = self.listen.as_ref().unwrap_or(&self.main);
        address.connect().await.map_err(|e| self.unreachable(e))
    }

    fn unreachable(&self, error: Unreachable) -> Error {
        let message = format!("the database {} can't be reached", self.shown);
        match error {
            Unreachable::Postgres(error) => {
                let away = is_away(&error);
                Error::with_source(ErrorKind::Store, message, error).away_if(away)
            }
            Unreachable::Diesel(error) => {
                Error::with_source(ErrorKind::Store, message, error).away_if(true)
            }
            Unreachable::Silent => {
                let message = format!("{message}: it has not answered within {PATIENCE:?}");
                Error::new(ErrorKind::Store, message).away_if(true)
            }
        }
    }
}

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);

enum Unreachable {
    Postgres(tokio_postgres::Error),
    Diesel(diesel::ConnectionError),
    Silent,
}

/// Whether a server that can't be reached may be there later by itself: nobody answers, it is
/// starting or stopping, or it has no room now. What is wrong with the login or the certificate stays
/// wrong.
fn is_away(error: &tokio_postgres::Error) -> bool {
    if let Some(code) = error.code() {
        return [
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::TOO_MANY_CONNECTIONS,
        ]
        .contains(code);
    }
    let Some(source) = std::error::Error::source(error) else {
        // It was closed, or nothing came in time.
        return true;
    };
    match source.downcast_ref::<std::io::Error>() {
        Some(io) => !io
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>()),
        None => false,
    }
}

impl Address {
    fn new(url: &str, lease: Duration) -> Result<Self> {
        let wrong = |problem: String| {
            let message = format!("the database URL {problem}");
            Error::new(ErrorKind::Configuration, message)
        };
        // What tokio-postgres does not know.
        let (url, [mode, root]) = url::without(url, [&["sslmode"], &["sslrootcert"]]);
        let mut config = tokio_postgres::Config::from_str(&url).map_err(|e| {
            // Its own text never shows the password: it names the option.
            wrong(format!("can't be read: {}", crate::error::Chain(&e)))
        })?;
        // A server that is gone is noticed well within a lease.
        let patience = (lease / 3).max(Duration::from_millis(500));
        config.connect_timeout(patience);
        config.tcp_user_timeout(patience);
        // The system counts these in whole seconds, and takes no zero.
        config.keepalives_idle(patience.max(Duration::from_secs(1)));
        config.keepalives_interval((patience / 3).max(Duration::from_secs(1)));
        config.keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("executor");
        }
        let mode = mode.as_deref().unwrap_or("prefer");
        let (ssl_mode, check) = match mode {
            "disable" => (SslMode::Disable, None),
            "allow" | "prefer" => (SslMode::Prefer, Some(Check::Nothing)),
            // libpq checks the authority where it is told which.
            "require" if root.is_some() => (SslMode::Require, Some(Check::Authority)),
            "require" => (SslMode::Require, Some(Check::Nothing)),
            "verify-ca" => (SslMode::Require, Some(Check::Authority)),
            "verify-full" => (SslMode::Require, Some(Check::Name)),
            _ => {
                return Err(wrong(format!(
                    "has sslmode={mode}; it takes disable, prefer, require, verify-ca or verify-full"
                )));
            }
        };
        config.ssl_mode(ssl_mode);
        let tls = check
            .map(|check| tls(check, root.as_deref()).map_err(wrong))
            .transpose()?;
        Ok(Self { config, tls })
    }

    async fn connect(&self) -> std::result::Result<AsyncPgConnection, Unreachable> {
        let connected = tokio::time::timeout(PATIENCE, Box::pin(self.log_in())).await;
        connected.unwrap_or(Err(Unreachable::Silent))
    }

    async fn log_in(&self) -> std::result::Result<AsyncPgConnection, Unreachable> {
        let connected = match &self.tls {
            Some(tls) => {
                let connected = self.config.connect(tls.clone()).await;
                let (client, connection) = connected.map_err(Unreachable::Postgres)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
            None => {
                let connected = self.config.connect(NoTls).await;
                let (client, connection) = connected.map_err(Unreachable::Postgres)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
        };
        connected.map_err(Unreachable::Diesel)
    }
}

/// What of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    Authority,
    Name,
}

fn tls(check: Check, root: Option<&str>) -> std::result::Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("can't have TLS: {e}"))?;
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Nothing => Arc::new(Lenient {
            provider,
            authority: None,
        }),
        Check::Authority | Check::Name => {
            let roots = Arc::new(roots(root)?);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .map_err(|e| format!("can't have its certificate checked: {e}"))?;
            if check == Check::Name {
                verifier
            } else {
                Arc::new(Lenient {
                    provider,
                    authority: Some(verifier),
                })
            }
        }
    };
    let config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// The authorities of a file, or else the system's.
fn roots(file: Option<&str>) -> std::result::Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates::authorities("sslrootcert", file)?);
    Ok(roots)
}

/// Checks less than all: nothing, or the authority and not the server's name. That is what the URL
/// asks for.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    authority: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};

        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        match authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                NotValidForName | NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
