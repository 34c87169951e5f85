//! Worker processes, which can be killed and frozen.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Fresh, ledger::LEDGER, until};

/// How a worker process is started.
pub struct Worker(Command);

impl Fresh {
    /// A worker process of this store: `program` is the path of a binary of this package.
    #[must_use]
    pub fn worker(&self, program: &str) -> Worker {
        let mut command = Command::new(program);
        command
            .env("DATABASE_URL", self.url())
            .env(LEDGER, self.ledger().path())
            .env("EXECUTOR_LEASE", "2s")
            .env("EXECUTOR_CANCEL_GRACE", "200ms")
            .env("EXECUTOR_SHUTDOWN_GRACE", "500ms")
            .stdin(Stdio::null());
        Worker(command)
    }
}

impl Worker {
    /// A setting in its environment.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.0.env(name, value.to_string());
        self
    }

    /// Its lease.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        self.set("EXECUTOR_LEASE", format!("{}ms", lease.as_millis()))
    }

    /// What it logs, warnings and news, goes to this file.
    ///
    /// # Panics
    /// There can be no such file.
    #[must_use]
    pub fn log(mut self, file: &Path) -> Self {
        let log = File::create(file).expect("a log");
        self.0.env("RUST_LOG", "executor=info").stderr(log);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// It can't be started.
    #[must_use]
    pub fn start(mut self) -> Process {
        Process(self.0.spawn().expect("the worker starts"))
    }
}

/// A running process. It is killed when it is dropped.
pub struct Process(Child);

impl Process {
    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL: it does nothing more when this returns.
    ///
    /// # Panics
    /// It was gone already, by itself.
    pub fn kill(mut self) {
        assert!(
            !self.has_ended(),
            "the worker was to be killed, and has ended by itself"
        );
        self.end();
    }

    /// SIGSTOP: it stands still until [`thaw`](Process::thaw).
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Panics
    /// It ends with an error.
    pub async fn stop(mut self) {
        self.signal("TERM");
        until("the worker has stopped", async || self.has_ended()).await;
        let status = self.0.wait().expect("its status");
        assert!(status.success(), "the worker ended with {status}");
    }

    /// Whether it has ended, however it did.
    ///
    /// # Panics
    /// The system doesn't tell.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("its status").is_some()
    }

    fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .expect("kill runs");
        assert!(
            status.success(),
            "the signal {name} didn't reach the worker"
        );
    }

    fn end(&mut self) {
        // It fails where the process has ended: all the better.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
