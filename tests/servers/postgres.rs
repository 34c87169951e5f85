use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{
    Settings, certificates, folder_with,
    home::Home,
    own::{Engine, Keeper},
    search_path,
};
use crate::Store;

/// PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
}

impl Keeper for Postgres {
    const STORE: Store = Store::Postgres;
}

impl Engine for Postgres {
    const PACKAGE: &'static str = "postgresql";
    const ACCOUNT: &'static str = "postgres";
    const STOP: &'static str = "INT";

    fn find() -> Option<Self> {
        let programs = folder_with(&["initdb", "postgres"], folders())?;
        Some(Self { programs })
    }

    fn configure(home: &Home, settings: &Settings) -> Option<PathBuf> {
        let folder = home.path().display();
        let mut config = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{folder}'\n\
             hba_file = '{folder}/access'\ndynamic_shared_memory_type = mmap\n"
        );
        if settings.without_fsync {
            config += "fsync = off\nfull_page_writes = off\n";
        }
        let authority = settings.tls.as_ref().map(|tls| {
            let certificates = certificates::issue(tls);
            home.write("server.pem", &certificates.server);
            home.write("server.key", &certificates.server_key);
            config += &format!(
                "ssl = on\nssl_cert_file = '{folder}/server.pem'\n\
                 ssl_key_file = '{folder}/server.key'\n"
            );
            home.write("ca.pem", &certificates.authority)
        });
        for (name, value) in &settings.options {
            config += &format!("{name} = '{}'\n", value.replace('\'', "''"));
        }
        home.write("config", &config);

        let kind = match authority {
            Some(_) => "hostssl",
            None => "host",
        };
        let access = format!("local all all trust\n{kind} all all 127.0.0.1/32 trust\n");
        home.write("access", &access);
        authority
    }

    fn install(&self, home: &Home) -> Command {
        let mut command = home.command(&self.programs.join("initdb"));
        command
            .arg("--pgdata")
            .arg(home.data())
            .args(["--username=postgres", "--auth=trust", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C"]);
        command
    }

    fn serve(&self, home: &Home, port: u16) -> Command {
        let mut command = home.command(&self.programs.join("postgres"));
        command
            .arg("-D")
            .arg(home.data())
            .arg("-c")
            .arg(format!(
                "config_file={}",
                home.path().join("config").display()
            ))
            .args(["-p", &port.to_string()]);
        command
    }

    /// What `pg_ctl` goes by: the server's own note of who it is, and whether it lets clients in.
    fn is_ready(home: &Home, pid: u32) -> bool {
        let note = note(home);
        let lines: Vec<&str> = note.lines().map(str::trim).collect();
        let pid = pid.to_string();
        matches!(lines[..], [whose, _, _, _, _, _, _, "ready", ..] if whose == pid)
    }

    /// The segment of shared memory by which a server knows that another one has its data.
    fn clear_away(home: &Home) {
        let note = note(home);
        let segment = note
            .lines()
            .nth(6)
            .and_then(|keys| keys.split_whitespace().nth(1));
        if let Some(segment) = segment {
            // The system keeps it until somebody removes it, which may fail: it is small.
            let _ = Command::new("ipcrm")
                .args(["-m", segment])
                .stderr(Stdio::null())
                .status();
        }
    }

    fn url(addr: SocketAddr) -> String {
        format!("postgres://postgres@{addr}/postgres")
    }
}

/// What a server that runs, or was killed, has written about itself.
fn note(home: &Home) -> String {
    fs::read_to_string(home.data().join("postmaster.pid")).unwrap_or_default()
}

/// Where its programs may be, the newest version first.
fn folders() -> impl Iterator<Item = PathBuf> {
    let asked = Command::new("pg_config")
        .arg("--bindir")
        .stderr(Stdio::null())
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|folder| PathBuf::from(folder.trim()));
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
        .into_iter()
        .map(|(_, folder)| folder)
        .chain(asked)
        .chain(search_path())
}
