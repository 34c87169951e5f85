//! What servers of both makes have in common.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Settings, free_port, home::Home, running::Running};
use crate::Store;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often another port is tried, where somebody else was faster to take the last one.
const TRIES: u32 = 5;

/// A make of servers.
pub trait Engine: Sized {
    /// Its Debian package.
    const PACKAGE: &'static str;
    /// The account that it runs under where we are root.
    const ACCOUNT: &'static str;
    /// The signal that asks it to end its clients' connections and itself.
    const STOP: &'static str;

    /// Its programs, where they are installed.
    fn find() -> Option<Self>;

    /// Writes its configuration; where TLS is asked for, this is the authority's certificate.
    fn configure(home: &Home, settings: &Settings) -> Option<PathBuf>;

    /// Makes an empty database; `configure` was before it.
    fn install(&self, home: &Home) -> Command;

    /// Serves it.
    fn serve(&self, home: &Home, port: u16) -> Command;

    /// Whether the server with this process id lets clients in.
    fn is_ready(home: &Home, pid: u32) -> bool;

    /// Clears away what a killed server leaves outside its home.
    fn clear_away(_home: &Home) {}

    /// Where clients connect to.
    fn url(addr: SocketAddr) -> String;
}

/// A make of servers in which a store may be.
pub trait Keeper: Engine {
    /// What a store in it is called.
    const STORE: Store;
}

/// A server of a test's own.
pub struct Own<E: Engine> {
    running: Option<Running>,
    pub(super) home: Home,
    pub(super) engine: E,
    port: u16,
    authority: Option<PathBuf>,
}

impl<E: Engine> Own<E> {
    /// A new server, ready for connections. There is none where its programs aren't installed: a
    /// test then has nothing to do.
    ///
    /// # Panics
    /// They aren't installed and `CI` is `true`, or the server doesn't start.
    pub async fn start(settings: Settings) -> Option<Self> {
        let Some(engine) = E::find() else {
            skip(E::PACKAGE);
            return None;
        };
        let home = Home::new(E::ACCOUNT);
        let authority = E::configure(&home, &settings);
        let mut server = Self {
            running: None,
            home,
            engine,
            port: free_port(),
            authority,
        };
        server.install().await;
        for _ in 0..TRIES {
            if server.try_start().await {
                return Some(server);
            }
            server.port = free_port();
        }
        panic!("the server doesn't start: {}", server.end_of_log());
    }

    /// Where clients connect to; it says nothing about TLS.
    #[must_use]
    pub fn url(&self) -> String {
        E::url(self.addr())
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The certificate of the authority that vouches for the server.
    ///
    /// # Panics
    /// The server speaks without TLS.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        self.authority.as_deref().expect("a server with TLS")
    }

    /// The last lines of its log.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        self.home.end_of_log()
    }

    /// Crashes it: SIGKILL to all its processes, none of which is left when this returns.
    ///
    /// # Panics
    /// It is not running.
    pub fn stop(&mut self) {
        drop(self.running.take().expect("a running server"));
    }

    /// Stops it in order, like an administrator: it ends its clients' connections, and says why
    /// where its protocol can.
    ///
    /// # Panics
    /// It is not running, or doesn't stop in time.
    pub async fn shut_down(&mut self) {
        let running = self.running.take().expect("a running server");
        running.ask(E::STOP);
        self.end_of(running).await;
    }

    /// Starts it again with the same data on the same port; it is ready when this returns.
    ///
    /// # Panics
    /// It is still running, or doesn't start.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server is still running");
        assert!(
            self.try_start().await,
            "the server doesn't start again: {}",
            self.end_of_log()
        );
    }

    /// SIGSTOP to all its processes: it stands still until [`thaw`](Self::thaw). The system goes
    /// on accepting connections for it, which nobody answers.
    ///
    /// # Panics
    /// It is not running.
    pub fn freeze(&self) {
        self.running.as_ref().expect("a running server").freeze();
    }

    /// SIGCONT to all its processes.
    ///
    /// # Panics
    /// It is not running.
    pub fn thaw(&self) {
        self.running.as_ref().expect("a running server").thaw();
    }

    async fn install(&self) {
        let command = self.engine.install(&self.home);
        let installing = Running::start(command, self.home.path());
        let outcome = self.end_of(installing).await;
        assert!(outcome.success(), "{outcome}: {}", self.end_of_log());
    }

    async fn end_of(&self, mut running: Running) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(outcome) = running.outcome() {
                return outcome;
            }
            assert!(
                Instant::now() < deadline,
                "it doesn't end in time: {}",
                self.end_of_log()
            );
            sleep(Running::POLL).await;
        }
    }

    /// False if it ends by itself, as it does where its port is taken.
    async fn try_start(&mut self) -> bool {
        let command = self.engine.serve(&self.home, self.port);
        let mut running = Running::start(command, self.home.path());
        let deadline = Instant::now() + PATIENCE;
        while !E::is_ready(&self.home, running.pid()) {
            if running.outcome().is_some() {
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "the server isn't ready in time: {}",
                self.end_of_log()
            );
            sleep(Running::POLL).await;
        }
        self.running = Some(running);
        true
    }
}

impl<E: Engine> Drop for Own<E> {
    fn drop(&mut self) {
        // First, so that no server writes to a folder that is being deleted.
        drop(self.running.take());
        E::clear_away(&self.home);
    }
}

impl<E: Engine> fmt::Debug for Own<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own")
            .field("url", &self.url())
            .field("home", &self.home)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

/// A server can't be had: a failure where all tests must run, and told at the end of
/// `scripts/test` elsewhere.
pub(super) fn skip(package: &str) {
    let is_ci = std::env::var("CI").as_deref() == Ok("true");
    assert!(!is_ci, "this test needs the programs of Debian's {package}");
    leave_out(package);
}

/// A program that not every system has in the version that it takes: told at the end of
/// `scripts/test`.
#[allow(clippy::print_stderr, reason = "it is shown with the test's output")]
pub(super) fn leave_out(package: &str) {
    eprintln!("left out: this test needs the programs of {package}");
}
