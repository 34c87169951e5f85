//! The network between a client and a server, which a test may spoil.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::servers::free_port;

/// A TCP proxy in front of a server. It lives on the runtime that it was made on, and its
/// connections are closed when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    url: Option<String>,
    listening: Option<JoinHandle<()>>,
    road: Arc<Road>,
}

/// What all connections share.
#[derive(Debug)]
struct Road {
    server: SocketAddr,
    state: watch::Sender<Traffic>,
    /// How many connections there were.
    count: AtomicU64,
    connections: Mutex<JoinSet<()>>,
    requests: AtomicU64,
    /// After which words of a client no answer goes through.
    last_words: Mutex<&'static [&'static str]>,
}

#[derive(Clone, Copy, Debug)]
struct Traffic {
    state: State,
    /// Connections before this one are silent for ever.
    silent_before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    OneWay,
    Stalled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Proxy {
    /// A proxy in front of the server at this address.
    ///
    /// # Panics
    /// There is no port for it.
    pub async fn to(server: SocketAddr) -> Self {
        let road = Arc::new(Road {
            server,
            state: watch::Sender::new(Traffic {
                state: State::Open,
                silent_before: 0,
            }),
            count: AtomicU64::new(0),
            connections: Mutex::default(),
            requests: AtomicU64::new(0),
            last_words: Mutex::default(),
        });
        let (listener, addr) = loop {
            let addr = (Ipv4Addr::LOCALHOST, free_port()).into();
            match TcpListener::bind(addr).await {
                Ok(listener) => break (listener, addr),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}"),
            }
        };
        Self {
            addr,
            url: None,
            listening: Some(tokio::spawn(listen(listener, road.clone()))),
            road,
        }
    }

    /// A proxy in front of the server of a URL with a host and a port.
    ///
    /// # Panics
    /// The URL has none, or there is no port for the proxy.
    pub async fn to_url(url: &str) -> Self {
        let (start, rest) = url.split_once("://").expect("a URL with a scheme");
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, server) = match authority.rsplit_once('@') {
            Some((login, server)) => (format!("{login}@"), server),
            None => (String::new(), authority),
        };
        let server = tokio::net::lookup_host(server)
            .await
            .expect("a URL with a host and a port")
            .next()
            .expect("an address");
        let mut proxy = Self::to(server).await;
        proxy.url = Some(format!("{start}://{login}{}{path}", proxy.addr));
        proxy
    }

    /// Where clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL with the proxy in the server's place.
    ///
    /// # Panics
    /// The proxy was made without a URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_deref().expect("a proxy made by `to_url`")
    }

    /// How many bytes of clients have been handed on to the server.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.road.requests.load(Ordering::SeqCst)
    }

    /// Closes all connections, to clients and to the server; new ones may come.
    pub async fn cut(&self) {
        let mut connections = std::mem::take(&mut *self.road.connections());
        connections.shutdown().await;
    }

    /// Nothing goes through any more, in either direction, and no connection is closed: neither
    /// side learns of it. New connections are accepted, and nobody answers on them.
    pub fn stall(&self) {
        self.road.set(State::Stalled);
    }

    /// Nothing goes through the connections that are there any more, and they are not closed, as where
    /// something between the two has forgotten them. New ones are well.
    pub fn silence(&self) {
        let count = self.road.count.load(Ordering::SeqCst);
        let silence = |traffic: &mut Traffic| traffic.silent_before = count;
        self.road.state.send_modify(silence);
    }

    /// What clients send goes through, and what the server answers does not: with
    /// [`cut`](Self::cut) after it, a client never learns what became of its last request.
    pub fn stall_answers(&self) {
        self.road.set(State::OneWay);
    }

    /// The same from the moment at which a client has sent all these words, in this order, on one
    /// connection: before the last of them goes on to the server.
    pub fn stall_answers_after(&self, words: &'static [&'static str]) {
        *self.road.last_words() = words;
    }

    /// Whether no answer goes through any more.
    #[must_use]
    pub fn stalls_answers(&self) -> bool {
        self.road.state.borrow().state == State::OneWay
    }

    /// New connections are refused, as where no server is running. Those that are there stay.
    pub async fn refuse(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            // It was aborted: that is all it can say.
            let _ = listening.await;
        }
    }

    /// All is well again. What was held back goes through.
    ///
    /// # Panics
    /// A stranger has taken the port meanwhile.
    pub async fn resume(&mut self) {
        self.road.set(State::Open);
        if self.listening.is_none() {
            let listener = TcpListener::bind(self.addr).await.expect("the same port");
            self.listening = Some(tokio::spawn(listen(listener, self.road.clone())));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
        self.road.connections().abort_all();
    }
}

impl Road {
    fn set(&self, state: State) {
        self.state.send_modify(|traffic| traffic.state = state);
    }

    fn last_words(&self) -> std::sync::MutexGuard<'_, &'static [&'static str]> {
        self.last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for the next of the last words in what a client has sent on a connection, of which so many
    /// have been seen on it.
    fn listen_for_last_words(&self, sent: &[u8], seen: &mut usize) {
        let mut words = self.last_words();
        let mut rest = sent;
        while let Some(word) = words.get(*seen) {
            let mut places = rest.windows(word.len());
            let Some(at) = places.position(|place| place == word.as_bytes()) else {
                return;
            };
            rest = &rest[at + word.len()..];
            *seen += 1;
            if *seen == words.len() {
                *words = &[];
                self.set(State::OneWay);
            }
        }
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(listener: TcpListener, road: Arc<Road>) {
    loop {
        // A client that is gone before it is accepted is its own affair.
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let mut connections = road.connections();
        while connections.try_join_next().is_some() {}
        connections.spawn(connect(client, road.clone()));
    }
}

/// A connection until one side is broken or both have ended. An error closes both.
async fn connect(client: TcpStream, road: Arc<Road>) {
    let number = road.count.fetch_add(1, Ordering::SeqCst);
    let to_server = Gate::new(Direction::ToServer, number, &road);
    let to_client = Gate::new(Direction::ToClient, number, &road);
    let mut opening = to_server.clone();
    opening.opened().await;
    let _: io::Result<_> = async {
        let server = TcpStream::connect(road.server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, into_client) = client.into_split();
        let (from_server, into_server) = server.into_split();
        tokio::try_join!(
            forward(from_client, into_server, to_server, Some(&road)),
            forward(from_server, into_client, to_client, None),
        )
    }
    .await;
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut gate: Gate,
    client: Option<&Road>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    let mut seen = 0;
    loop {
        gate.opened().await;
        let read = from.read(&mut bytes).await?;
        // What came while the gate was closing waits.
        gate.opened().await;
        if read == 0 {
            return to.shutdown().await;
        }
        if let Some(road) = client {
            road.listen_for_last_words(&bytes[..read], &mut seen);
        }
        to.write_all(&bytes[..read]).await?;
        if let Some(road) = client {
            road.requests.fetch_add(read as u64, Ordering::SeqCst);
        }
    }
}

/// What one direction of a connection goes through.
#[derive(Clone)]
struct Gate {
    direction: Direction,
    /// Which connection it belongs to.
    number: u64,
    state: watch::Receiver<Traffic>,
}

impl Gate {
    fn new(direction: Direction, number: u64, road: &Road) -> Self {
        let state = road.state.subscribe();
        Self {
            direction,
            number,
            state,
        }
    }

    async fn opened(&mut self) {
        let (direction, number) = (self.direction, self.number);
        let opened = self.state.wait_for(|traffic| {
            number >= traffic.silent_before
                && match traffic.state {
                    State::Open => true,
                    State::OneWay => direction == Direction::ToServer,
                    State::Stalled => false,
                }
        });
        opened.await.expect("the road outlives its connections");
    }
}
