use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{OwnPostgres, folder_with, free_port, home::Home, running::Running, search_path};

/// A PgBouncer in front of a server of the test's own. It is killed when it is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    _running: Running,
    home: Home,
    port: u16,
}

/// When a server's connection goes to another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// When the client leaves: any version.
    Session,
    /// When a transaction ends, with prepared statements that follow their client: version 1.21 and
    /// newer.
    Transaction,
}

impl PgBouncer {
    /// Starts one that lets this many connections at once through to the server. `None`: it isn't
    /// installed, or too old.
    ///
    /// # Panics
    /// It doesn't start.
    pub async fn start(server: &OwnPostgres, pooling: Pooling, connections: u32) -> Option<Self> {
        let Some(folder) = folder_with(&["pgbouncer"], search_path()) else {
            super::own::leave_out("pgbouncer");
            return None;
        };
        let program = folder.join("pgbouncer");
        let (mode, prepared) = match pooling {
            Pooling::Session => ("session", ""),
            Pooling::Transaction if version(&program) < (1, 21) => {
                super::own::leave_out("pgbouncer (1.21 or newer)");
                return None;
            }
            Pooling::Transaction => ("transaction", "max_prepared_statements = 200\n"),
        };
        let home = Home::new("postgres");
        let (port, server) = (free_port(), server.addr());
        let config = format!(
            "[databases]\n* = host={} port={} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = {connections}\n\
             max_client_conn = 500\n{prepared}",
            server.ip(),
            server.port(),
        );
        let config = home.write("pgbouncer.ini", &config);
        let mut command = home.command(&program);
        command.arg(config);
        let mut running = Running::start(command, home.path());
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                running.outcome().is_none() && Instant::now() < deadline,
                "PgBouncer doesn't start: {}",
                home.end_of_log()
            );
            sleep(Running::POLL).await;
        }
        Some(Self {
            _running: running,
            home,
            port,
        })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        format!("postgres://postgres@{addr}/postgres")
    }

    /// The last lines of its log.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        self.home.end_of_log()
    }
}

/// Its major and minor version.
fn version(program: &std::path::Path) -> (u32, u32) {
    let output = Command::new(program)
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().last())
        .unwrap_or_default()
        .split('.')
        .map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
