//! The application and its commands, as these tests need them.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use executor_tests::{Fresh, until};
use serde_json::Value;
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

/// A store, and commands for the application on it.
pub(crate) struct App {
    pub(crate) fresh: Fresh,
    binary: &'static str,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl App {
    pub(crate) fn new() -> Self {
        Self {
            fresh: Fresh::new(),
            binary: env!("CARGO_BIN_EXE_test-app"),
        }
    }

    pub(crate) fn quickstart() -> Self {
        Self {
            fresh: Fresh::new(),
            binary: env!("CARGO_BIN_EXE_quickstart"),
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
        command
            .args(arguments)
            .env("DATABASE_URL", self.fresh.url())
            .env("EXECUTOR_LEASE", "2s")
            .env_remove("RUST_LOG")
            .current_dir(self.fresh.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments)).await
    }

    /// Runs a command that must succeed; its stdout without the last line's end.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.stdout.trim_end().to_owned()
    }

    /// Runs a command that must succeed, and prints JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(arguments).await;
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {text}"))
    }

    /// Runs a command that must fail with code 1; what it says in its one line.
    pub(crate) async fn fails(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:?}");
        let error = ended.stderr.lines().last().unwrap_or_default();
        let error = error
            .strip_prefix("Error: ")
            .unwrap_or_else(|| panic!("{ended:?}"));
        error.to_owned()
    }

    /// Runs a command that is no command; what is said about it.
    pub(crate) async fn misused(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        ended.stderr
    }

    pub(crate) fn work(&self) -> Child {
        self.command(&["work"]).spawn().expect("it starts")
    }

    pub(crate) async fn reaches(&self, run_id: &str, state: &str) -> Value {
        until(&format!("{run_id} is {state}"), async || {
            self.json(&["show", run_id, "--json"]).await["state"] == state
        })
        .await;
        self.json(&["show", run_id, "--json"]).await
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.fresh.folder().join(name).display().to_string()
    }

    /// The data of a program of the one job `job`, which takes a path.
    pub(crate) fn path_data(&self, job: &str, name: &str) -> String {
        serde_json::json!({ job: { "path": self.path(name) } }).to_string()
    }

    pub(crate) fn touch(&self, name: &str) {
        std::fs::write(self.path(name), "").expect("written");
    }
}

pub(crate) async fn ended(mut command: Command) -> Ended {
    let output = tokio::time::timeout(Duration::from_secs(60), command.output());
    let output = output.await.expect("in time").expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

pub(crate) async fn exit(child: &mut Child) -> ExitStatus {
    let exit = tokio::time::timeout(Duration::from_secs(60), child.wait());
    exit.await.expect("in time").expect("its status")
}

pub(crate) async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    let sent = Command::new("kill")
        .args(["-s", name, &pid])
        .status()
        .await
        .expect("kill runs");
    assert!(sent.success(), "{name} was not sent");
}

/// Reads until a text was printed; what was read.
pub(crate) async fn read_until(mut from: impl AsyncReadExt + Unpin, text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            let mut buffer = [0; 1024];
            match from.read(&mut buffer).await.expect("readable") {
                0 => break,
                bytes => read.extend_from_slice(&buffer[..bytes]),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading)
        .await
        .expect("in time");
    let read = String::from_utf8(read).expect("UTF-8");
    assert!(read.contains(text), "it ended without {text:?}: {read}");
    read
}
