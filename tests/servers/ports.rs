//! Ports of this machine.

use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// None of those that systems hand out to outgoing connections: a client that keeps trying while
/// its server is down would end up connected to itself, and take the port away.
const PORTS: Range<u16> = 20_000..32_000;

/// What this process has reserved. The system gives the locks back when the process ends, however
/// it does.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port of this machine that nothing listens on, and that no other test gets as long as this
/// process lives: it may stop to listen there, and start again.
pub(crate) fn free_port() -> u16 {
    let count = u64::from(PORTS.end - PORTS.start);
    let first = RandomState::new().hash_one(()) % count;
    (0..count)
        .map(|step| PORTS.start + u16::try_from((first + step) % count).expect("it fits"))
        .find(|&port| reserve(port).expect("a file to lock") && is_free(port))
        .expect("a free port")
}

/// Whether nobody else had it. One that nobody can use stays reserved: there are enough.
fn reserve(port: u16) -> io::Result<bool> {
    let folder = std::env::temp_dir().join("executor-test-ports");
    fs::create_dir_all(&folder)?;
    let file = File::create(folder.join(port.to_string()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(false),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    RESERVED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(file);
    Ok(true)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
