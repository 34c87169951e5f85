use std::{
    io::Read,
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Settings, certificates, folder_with,
    home::Home,
    own::{Engine, Keeper},
    search_path,
};
use crate::Store;

/// MariaDB.
#[derive(Debug)]
pub struct MariaDb {
    install: PathBuf,
    server: PathBuf,
}

impl Keeper for MariaDb {
    const STORE: Store = Store::MySql;
}

impl Engine for MariaDb {
    const PACKAGE: &'static str = "mariadb-server";
    const ACCOUNT: &'static str = "mysql";
    const STOP: &'static str = "TERM";

    fn find() -> Option<Self> {
        let program = |name: &str| Some(folder_with(&[name], search_path())?.join(name));
        Some(Self {
            install: program("mariadb-install-db")?,
            server: program("mariadbd")?,
        })
    }

    fn configure(home: &Home, settings: &Settings) -> Option<PathBuf> {
        let folder = home.path().display();
        // Small, so that it starts soon.
        let mut config = format!(
            "[mariadbd]\ndatadir={}\nsocket={}\npid-file={folder}/pid\n\
             bind-address=127.0.0.1\nskip-name-resolve\n\
             innodb-buffer-pool-size=32M\ninnodb-log-file-size=16M\n",
            home.data().display(),
            socket(home).display()
        );
        if settings.without_fsync {
            config += "innodb-flush-log-at-trx-commit=0\ninnodb-flush-method=nosync\n";
        }
        let authority = settings.tls.as_ref().map(|tls| {
            let certificates = certificates::issue(tls);
            home.write("server.pem", &certificates.server);
            home.write("server.key", &certificates.server_key);
            config += &format!(
                "require-secure-transport\nssl-ca={folder}/ca.pem\n\
                 ssl-cert={folder}/server.pem\nssl-key={folder}/server.key\n"
            );
            home.write("ca.pem", &certificates.authority)
        });
        home.write("init.sql", "CREATE DATABASE IF NOT EXISTS app;\n");
        config += &format!("init-file={folder}/init.sql\n");
        for (name, value) in &settings.options {
            config += &format!("{name}={value}\n");
        }
        home.write("config", &config);
        authority
    }

    fn install(&self, home: &Home) -> Command {
        let mut command = with_config(home, &self.install);
        command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        command
    }

    fn serve(&self, home: &Home, port: u16) -> Command {
        let mut command = with_config(home, &self.server);
        command.arg(format!("--port={port}"));
        command
    }

    /// It greets who connects, once it lets clients in. Its socket is in its own folder, and comes
    /// after the port, which another server may have.
    fn is_ready(home: &Home, _pid: u32) -> bool {
        let Ok(mut stream) = UnixStream::connect(socket(home)) else {
            return false;
        };
        let in_time = stream.set_read_timeout(Some(Duration::from_secs(1)));
        in_time.is_ok() && stream.read_exact(&mut [0; 5]).is_ok()
    }

    fn url(addr: SocketAddr) -> String {
        format!("mysql://root@{addr}/app")
    }
}

fn socket(home: &Home) -> PathBuf {
    home.path().join("socket")
}

fn with_config(home: &Home, program: &Path) -> Command {
    let mut command = home.command(program);
    let config = home.path().join("config");
    command.arg(format!("--defaults-file={}", config.display()));
    command
}
