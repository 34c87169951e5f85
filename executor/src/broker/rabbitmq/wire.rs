//! Connections to RabbitMQ.
//!
//! The URL is RabbitMQ's own. With `amqps` the server's certificate and name are checked, against the
//! file of `cacertfile` or else the system's certificates. A connection that has died without a word is
//! noticed by its heartbeats (`heartbeat`, in seconds; 10 unless said otherwise).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_core::Stream;
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    uri::{AMQPScheme, AMQPUri},
};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::{
    certificates,
    config::AmqpUrl,
    error::{Error, ErrorKind, Result},
    retry::back_off,
    url,
};

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);
/// A dead connection is noticed within twice this time.
const HEARTBEAT: u16 = 10;

/// Where RabbitMQ is, and how it is spoken to.
pub(super) struct Wire {
    shown: AmqpUrl,
    uri: AMQPUri,
    tls: Option<TlsConnector>,
}

impl Wire {
    pub(super) fn new(shown: &AmqpUrl) -> Result<Self> {
        let wrong = |problem: String| {
            let message = format!("the URL of RabbitMQ {problem}");
            Error::new(ErrorKind::Configuration, message)
        };
        let (url, [authority]) = url::without(shown.secret(), [&["cacertfile"]]);
        let mut uri: AMQPUri = url
            .trim_end_matches('?')
            .parse()
            .map_err(|e| wrong(format!("can't be read: {e}")))?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let tls = match uri.scheme {
            AMQPScheme::AMQP if authority.is_some() => {
                return Err(wrong(
                    "has a cacertfile and no TLS; write amqps://".to_owned(),
                ));
            }
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(tls(authority.as_deref()).map_err(wrong)?),
        };
        Ok(Self {
            shown: shown.clone(),
            uri,
            tls,
        })
    }

    /// A new connection, under a name that RabbitMQ shows to people.
    pub(super) async fn connect(&self, name: &str) -> Result<Connection> {
        let unreachable = |problem: &str| format!("RabbitMQ at {} {problem}", self.shown);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = self.tls.clone();
        let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), Net(Tokio::current())));
        let connect = async move |uri: AMQPUri, _: Runtime<Kit>| {
            Ok(AsyncTcpStream::Plain(dial(&uri, tls.as_ref()).await?))
        };
        let connected = Connection::connector(self.uri.clone(), runtime, connect, properties);
        match tokio::time::timeout(PATIENCE, Box::pin(connected)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                let message = unreachable("can't be reached");
                Err(Error::with_source(ErrorKind::Store, message, error))
            }
            Err(_) => {
                let message = unreachable(&format!("has not answered within {PATIENCE:?}"));
                Err(Error::new(ErrorKind::Store, message))
            }
        }
    }
}

fn tls(authority: Option<&str>) -> std::result::Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates::authorities("cacertfile", authority)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("can't have TLS: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

/// A stream to the server, with TLS where it is asked for.
async fn dial(uri: &AMQPUri, tls: Option<&TlsConnector>) -> io::Result<Socket> {
    let host = uri.authority.host.as_str();
    // A bare IPv6 address stands in brackets in a URL.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, uri.authority.port)).await?;
    stream.set_nodelay(true)?;
    let stream: Box<dyn Duplex> = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
            Box::new(tls.connect(name, stream).await?)
        }
    };
    Ok(stream.compat())
}

type Socket = Compat<Box<dyn Duplex>>;

trait Duplex: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Duplex for T {}

async fn plain(addr: SocketAddr) -> io::Result<Socket> {
    let stream: Box<dyn Duplex> = Box::new(TcpStream::connect(addr).await?);
    Ok(stream.compat())
}

type Kit = RuntimeParts<Tokio, Net>;

/// Tokio, with streams of ours: TLS with ring, and nothing else that lapin's own would bring in.
#[derive(Clone, Debug)]
struct Net(Tokio);

impl Reactor for Net {
    type TcpStream = Socket;
    type Sleep = <Tokio as Reactor>::Sleep;

    // Whoever dials brings a stream that Tokio knows already.
    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl futures_util::AsyncRead + futures_util::AsyncWrite + Send + Unpin + 'static>
    {
        Err::<Socket, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = std::time::Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        plain(addr)
    }
}

/// The pause after so many failures in a row, drawn from its second half.
pub(super) fn pause(failed: u32) -> Duration {
    back_off(failed).mul_f64(0.5 + 0.5 * fastrand::f64())
}
