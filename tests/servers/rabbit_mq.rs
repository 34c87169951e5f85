use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Own, Settings, certificates, folder_with, free_port, home::Home, own::Engine, search_path,
};

/// RabbitMQ: a node by itself.
#[derive(Debug)]
pub struct RabbitMq {
    /// The folder of its programs themselves: Debian's commands are wrappers that know one node.
    programs: PathBuf,
}

impl Engine for RabbitMq {
    const PACKAGE: &'static str = "rabbitmq-server";
    const ACCOUNT: &'static str = "rabbitmq";
    const STOP: &'static str = "TERM";

    fn find() -> Option<Self> {
        let programs = folder_with(&["rabbitmq-server", "rabbitmqctl"], folders())?;
        Some(Self { programs })
    }

    fn configure(home: &Home, settings: &Settings) -> Option<PathBuf> {
        let mut config = String::from("loopback_users = none\n");
        let authority = settings.tls.as_ref().map(|tls| {
            let folder = home.path().display();
            let certificates = certificates::issue(tls);
            home.write("server.pem", &certificates.server);
            home.write("server.key", &certificates.server_key);
            config += &format!(
                "ssl_options.cacertfile = {folder}/ca.pem\nssl_options.certfile = {folder}/server.pem\n\
                 ssl_options.keyfile = {folder}/server.key\nssl_options.verify = verify_none\n"
            );
            home.write("ca.pem", &certificates.authority)
        });
        for (name, value) in &settings.options {
            config += &format!("{name} = {value}\n");
        }
        home.write("settings", &config);
        home.write("plugins", "[].\n");
        authority
    }

    /// It makes its database itself.
    fn install(&self, home: &Home) -> Command {
        home.command(Path::new("true"))
    }

    fn serve(&self, home: &Home, port: u16) -> Command {
        let settings = fs::read_to_string(home.path().join("settings")).expect("its settings");
        let listens = if home.path().join("ca.pem").exists() {
            format!("listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{port}\n")
        } else {
            format!("listeners.tcp.1 = 127.0.0.1:{port}\n")
        };
        home.write("rabbitmq.conf", &(settings + &listens));
        home.write("port", &port.to_string());
        self.command(home, "rabbitmq-server")
    }

    /// It answers a client's greeting, once it lets clients in; with TLS, it takes the connection.
    fn is_ready(home: &Home, _pid: u32) -> bool {
        let port = fs::read_to_string(home.path().join("port")).unwrap_or_default();
        let Ok(port) = port.parse::<u16>() else {
            return false;
        };
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
            return false;
        };
        if home.path().join("ca.pem").exists() {
            return true;
        }
        let patience = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let mut first = [0];
        patience.is_ok()
            && stream.write_all(b"AMQP\0\0\x09\x01").is_ok()
            && stream.read_exact(&mut first).is_ok()
            && first == [1]
    }

    fn url(addr: SocketAddr) -> String {
        format!("amqp://guest:guest@{addr}/%2f")
    }
}

impl RabbitMq {
    /// A program of the node's, and where it finds what is its own.
    fn command(&self, home: &Home, program: &str) -> Command {
        let folder = home.path();
        let name: String = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let mut command = home.command(&self.programs.join(program));
        command
            .env("RABBITMQ_NODENAME", format!("t{name}@localhost"))
            .env("RABBITMQ_MNESIA_BASE", home.data())
            .env("RABBITMQ_LOG_BASE", folder.join("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_DIST_PORT", dist_port(home).to_string());
        command
    }
}

impl Own<RabbitMq> {
    /// What the node's administrator would type: `rabbitmqctl` with these arguments; what it prints.
    ///
    /// # Panics
    /// It fails.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = self.engine.command(&self.home, "rabbitmqctl");
        command
            .args(["--quiet"])
            .args(arguments)
            .stdout(std::process::Stdio::piped());
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ran.expect("no panic").expect("it runs");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            self.end_of_log()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Closes the connections whose name begins so, as its management page does; how many.
    pub async fn close_connections(&self, name: &str) -> usize {
        let list = self
            .ctl(&["list_connections", "pid", "client_properties"])
            .await;
        let mut closed = 0;
        for line in list.lines().filter(|line| line.contains(name)) {
            let Some(pid) = line.split_whitespace().next() else {
                continue;
            };
            self.ctl(&["close_connection", pid, "closed by a test"])
                .await;
            closed += 1;
        }
        closed
    }
}

/// The port on which its programs reach it; the same as long as its home is there.
fn dist_port(home: &Home) -> u16 {
    let note = home.path().join("dist-port");
    match fs::read_to_string(&note)
        .ok()
        .and_then(|text| text.parse().ok())
    {
        Some(port) => port,
        None => {
            let port = free_port();
            home.write("dist-port", &port.to_string());
            port
        }
    }
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten();
    versions
        .flatten()
        .map(|entry| entry.path().join("sbin"))
        .chain(search_path())
}
