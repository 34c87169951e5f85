//! A running server with all its processes.

use std::{
    io::Write,
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server that was started. It is killed when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    main: Child,
    watch: Watch,
}

impl Running {
    /// How long to wait between two looks at it.
    pub(super) const POLL: Duration = Duration::from_millis(5);

    /// Starts it; `folder` is what goes with it if we die.
    pub(super) fn start(mut command: Command, folder: &Path) -> Self {
        let main = command.spawn().expect("the server starts");
        let watch = Watch::over(&main, folder);
        Self { main, watch }
    }

    pub(super) fn pid(&self) -> u32 {
        self.main.id()
    }

    /// How its main process has ended, if it has.
    pub(super) fn outcome(&mut self) -> Option<ExitStatus> {
        self.main.try_wait().expect("its status")
    }

    /// SIGSTOP to all its processes, until none of them moves and so none starts another.
    pub(super) fn freeze(&self) {
        by_deadline("a process of the server goes on after SIGSTOP", || {
            let moving: Vec<u32> = self
                .family()
                .iter()
                .filter(|it| !it.is_stopped)
                .map(|it| it.pid)
                .collect();
            signal("STOP", &moving);
            moving.is_empty()
        });
    }

    /// SIGCONT to all its processes.
    pub(super) fn thaw(&self) {
        signal("CONT", &self.family_pids());
    }

    /// A signal to its main process alone.
    pub(super) fn ask(&self, name: &str) {
        signal(name, &[self.pid()]);
    }

    /// SIGKILL to all its processes: none of them is left when this returns.
    fn kill(&mut self) {
        if self.outcome().is_some() {
            return;
        }
        self.freeze();
        let family = self.family_pids();
        signal("KILL", &family);
        self.main.wait().expect("its status");
        by_deadline("a process of the server outlives SIGKILL", || {
            !processes().iter().any(|it| family.contains(&it.pid))
        });
    }

    fn family_pids(&self) -> Vec<u32> {
        self.family().iter().map(|it| it.pid).collect()
    }

    /// The main process and all below it.
    fn family(&self) -> Vec<Entry> {
        let all = processes();
        let mut pids = vec![self.pid()];
        let mut at = 0;
        while let Some(&parent) = pids.get(at) {
            pids.extend(all.iter().filter(|it| it.parent == parent).map(|it| it.pid));
            at += 1;
        }
        let mut family = all;
        family.retain(|it| pids.contains(&it.pid));
        family
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        self.watch.dismiss();
    }
}

/// A shell that outlives us for a moment if we die without a word, and then ends the server and
/// deletes its folder. It learns of our death from the end of its input.
#[derive(Debug)]
struct Watch {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Watch {
    fn over(server: &Child, folder: &Path) -> Self {
        // A server that quits leaves nothing of itself in the system's shared memory.
        const SCRIPT: &str = r#"
            trap '' HUP INT TERM
            read -r word
            [ "$word" = dismissed ] && exit
            kill -s QUIT "$1"
            kill -s CONT "$1"
            for attempt in 1 2 3 4 5 6 7 8 9; do
                kill -s 0 "$1" || break
                sleep 1
            done
            kill -s KILL "$1"
            rm -rf "$2"
        "#;
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "watch", &server.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let input = shell.stdin.take();
        Self { shell, input }
    }

    fn dismiss(&mut self) {
        // Where somebody has killed it, there is nothing to dismiss.
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(b"dismissed\n");
        }
        let _ = self.shell.wait();
    }
}

/// A process, as `ps` has it.
struct Entry {
    pid: u32,
    parent: u32,
    is_stopped: bool,
}

/// All processes of this machine but the dead ones.
fn processes() -> Vec<Entry> {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=", "-o", "ppid=", "-o", "stat="])
        .output()
        .expect("ps runs");
    let lines = String::from_utf8(output.stdout).expect("text");
    lines
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let pid = words.next()?.parse().ok()?;
            let parent = words.next()?.parse().ok()?;
            let state = words.next()?;
            (!state.starts_with('Z')).then(|| Entry {
                pid,
                parent,
                is_stopped: state.starts_with('T'),
            })
        })
        .collect()
}

/// Processes that have ended meanwhile are passed over.
fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    let _ = Command::new("kill")
        .args(["-s", name])
        .args(pids.iter().map(u32::to_string))
        .stderr(Stdio::null())
        .status()
        .expect("kill runs");
}

fn by_deadline(or_else: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{or_else}");
        thread::sleep(Running::POLL);
    }
}
