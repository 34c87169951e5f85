//! The folder of a server, and the account that it runs under.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// The folder of a server. Servers refuse to run as root: what a home starts then runs under
/// another account, to which the files belong.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    account: Option<Account>,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

impl Home {
    /// A new folder; `account` is who the server runs as, where we are root and it exists.
    pub(super) fn new(account: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let is_root = fs::metadata(folder.path()).expect("it is there").uid() == 0;
        let account = is_root.then(|| {
            Account::named(account)
                .or_else(|| Account::named("nobody"))
                .expect("an account for a server: root can't run one")
        });
        let home = Self { folder, account };
        home.own(home.path());
        home
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the server's data is.
    pub(super) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The last lines of what its programs have said.
    pub(super) fn end_of_log(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Writes a file that nobody but the server reads.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).expect("a file in the folder");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its permissions");
        self.own(&path);
        path
    }

    /// A command of the server's account, whose output goes to the log.
    pub(super) fn command(&self, program: &Path) -> Command {
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.log())
            .expect("a log");
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("TMPDIR", self.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log again"))
            .stderr(log);
        if let Some(Account { user, group }) = self.account {
            command.uid(user).gid(group);
        }
        command
    }

    fn log(&self) -> PathBuf {
        self.path().join("log")
    }

    fn own(&self, path: &Path) {
        if let Some(Account { user, group }) = self.account {
            chown(path, Some(user), Some(group)).expect("another owner");
        }
    }
}

impl Account {
    fn named(name: &str) -> Option<Self> {
        let id = |which: &str| {
            let output = Command::new("id").args([which, name]).output().ok()?;
            let number = String::from_utf8(output.stdout).ok()?;
            number.trim().parse().ok()
        };
        Some(Self {
            user: id("-u")?,
            group: id("-g")?,
        })
    }
}
